//! Replies in the bytes a server sends.

use redis::Value;

use crate::error::Cause;

/// No reply to a script nests deeper; what does is no server's.
const DEEPEST: u32 = 8;

/// Bytes as they arrive, and the replies they make.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// What lies before this was read already.
    start: usize,
}

impl Replies {
    /// Takes what has arrived.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next reply; `None` while it is not complete. An error says that these are none.
    pub fn next(&mut self) -> Result<Option<Value>, Cause> {
        let rest = &self.bytes[self.start..];
        let Some(length) = length(rest, DEEPEST)? else { return Ok(None) };
        let value = redis::parse_redis_value(&rest[..length])
            .map_err(|error| Cause::new(error.to_string()))?;
        self.start += length;
        Ok(Some(value))
    }
}

/// How many bytes the first reply in `bytes` takes; `None` while it is not complete.
fn length(bytes: &[u8], deepest: u32) -> Result<Option<usize>, Cause> {
    let Some(line) = bytes.windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
    let after = line + 2;
    match bytes[0] {
        b'+' | b'-' | b':' => Ok(Some(after)),
        b'$' => match number(&bytes[1..line])? {
            // The text, and the end of its line.
            Some(text) => Ok((text + 2).checked_add(after).filter(|end| *end <= bytes.len())),
            None => Ok(Some(after)),
        },
        b'*' if deepest > 0 => {
            let mut end = after;
            for _ in 0..number(&bytes[1..line])?.unwrap_or(0) {
                match length(&bytes[end..], deepest - 1)? {
                    Some(one) => end += one,
                    None => return Ok(None),
                }
            }
            Ok(Some(end))
        }
        _ => Err(nonsense()),
    }
}

/// A count; `None` is how a server writes that there is nothing.
fn number(digits: &[u8]) -> Result<Option<usize>, Cause> {
    if digits == b"-1" {
        return Ok(None);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u32>().ok());
    number.map(|number| Some(number as usize)).ok_or_else(nonsense)
}

fn nonsense() -> Cause {
    Cause::new("the server sent what is no reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_once_its_last_byte_is_there() {
        let bytes = b"*3\r\n:1\r\n$-1\r\n$5\r\na\r\nbc\r\n-NOSCRIPT no\r\n+OK\r\n*-1\r\n";
        let mut whole = Replies::default();
        whole.add(bytes);
        let all: Vec<Value> = std::iter::from_fn(|| whole.next().unwrap()).collect();

        let mut pieces = Replies::default();
        let mut read = Vec::new();
        for byte in bytes {
            pieces.add(&[*byte]);
            read.extend(std::iter::from_fn(|| pieces.next().unwrap()));
        }

        assert_eq!(read, all);
        assert_eq!(read.len(), 4);
        let text = Value::BulkString(b"a\r\nbc".to_vec());
        assert_eq!(read[0], Value::Array(vec![Value::Int(1), Value::Nil, text]));
        assert!(matches!(&read[1], Value::ServerError(error) if error.code() == "NOSCRIPT"));
        assert_eq!(read[3], Value::Nil);
    }

    #[test]
    fn what_no_server_sends_is_an_error() {
        for nonsense in ["HTTP/1.1 400\r\n", "$x\r\n", "*-7\r\n", &"*1\r\n".repeat(20)] {
            let mut replies = Replies::default();
            replies.add(nonsense.as_bytes());

            assert!(replies.next().is_err(), "{nonsense}");
        }
    }
}
