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
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next reply; `None` while it is not complete. An error says that these are none.
    pub fn next(&mut self) -> Result<Option<Value>, Cause> {
        let mut rest = &self.bytes[self.start..];
        match value(&mut rest, DEEPEST) {
            Ok(value) => {
                self.start = self.bytes.len() - rest.len();
                Ok(Some(value))
            }
            Err(Unread::Incomplete) => Ok(None),
            Err(Unread::Nonsense) => Err(Cause::new("the server sent what is no reply")),
        }
    }
}

/// Why a reply cannot be read.
#[derive(Debug)]
enum Unread {
    Incomplete,
    Nonsense,
}

/// Takes a reply off the front of `bytes`.
fn value(bytes: &mut &[u8], deepest: u32) -> Result<Value, Unread> {
    let line = line(bytes)?;
    let (kind, said) = line.split_first().ok_or(Unread::Nonsense)?;
    match kind {
        b':' => number(said).map(Value::Int),
        b'$' => match count(said)? {
            Some(length) => text(bytes, length),
            None => Ok(Value::Nil),
        },
        b'*' if deepest > 0 => match count(said)? {
            Some(count) => array(bytes, count, deepest - 1),
            None => Ok(Value::Nil),
        },
        b'+' if said == b"OK" => Ok(Value::Okay),
        b'+' => Ok(Value::SimpleString(String::from_utf8_lossy(said).into_owned())),
        // The crate alone can make one; it is rare.
        b'-' => redis::parse_redis_value(&[line, b"\r\n"].concat()).map_err(|_| Unread::Nonsense),
        _ => Err(Unread::Nonsense),
    }
}

fn line<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], Unread> {
    let end = bytes.windows(2).position(|end| end == b"\r\n").ok_or(Unread::Incomplete)?;
    let (line, rest) = bytes.split_at(end);
    *bytes = &rest[2..];
    Ok(line)
}

fn text(bytes: &mut &[u8], length: usize) -> Result<Value, Unread> {
    let (text, rest) = bytes.split_at_checked(length).ok_or(Unread::Incomplete)?;
    let (end, rest) = rest.split_at_checked(2).ok_or(Unread::Incomplete)?;
    *bytes = rest;
    match end == b"\r\n" {
        true => Ok(Value::BulkString(text.to_vec())),
        false => Err(Unread::Nonsense),
    }
}

fn array(bytes: &mut &[u8], count: usize, deepest: u32) -> Result<Value, Unread> {
    // None takes less than four bytes, whatever count the server claims.
    let mut values = Vec::with_capacity(count.min(bytes.len() / 4));
    for _ in 0..count {
        values.push(value(bytes, deepest)?);
    }
    Ok(Value::Array(values))
}

/// A count; `None` is how a server writes that there is nothing.
fn count(digits: &[u8]) -> Result<Option<usize>, Unread> {
    match number(digits)? {
        -1 => Ok(None),
        count => {
            u32::try_from(count).map(|count| Some(count as usize)).map_err(|_| Unread::Nonsense)
        }
    }
}

fn number(digits: &[u8]) -> Result<i64, Unread> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or(Unread::Nonsense)
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
    fn a_claim_of_many_elements_takes_no_memory_for_them() {
        let mut replies = Replies::default();
        replies.add(b"*4294967295\r\n:1\r\n");

        assert_eq!(replies.next(), Ok(None));
    }

    #[test]
    fn what_no_server_sends_is_an_error() {
        for nonsense in [
            "HTTP/1.1 400\r\n",
            "\r\n",
            ":one\r\n",
            "$x\r\n",
            "$1\r\nabcd",
            "*-7\r\n",
            &"*1\r\n".repeat(20),
        ] {
            let mut replies = Replies::default();
            replies.add(nonsense.as_bytes());

            assert!(replies.next().is_err(), "{nonsense}");
        }
    }
}
