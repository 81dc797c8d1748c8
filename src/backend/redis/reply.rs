//! Replies in the bytes a server sends.

use redis::Value;

use crate::error::Cause;

/// No reply to a script nests deeper; what does is no server's.
const DEEPEST: usize = 8;

/// Bytes as they arrive, and the replies they make.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// What lies before this was read already.
    start: usize,
    /// Arrays whose last elements are still to come, each within the one before. No byte of a long
    /// reply is read twice, however many pieces it arrives in.
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    elements: Vec<Value>,
    count: usize,
}

enum Element {
    Whole(Value),
    /// As many elements follow.
    Array(usize),
}

/// Why an element cannot be read.
#[derive(Debug)]
enum Unread {
    Incomplete,
    Nonsense,
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
        loop {
            let mut rest = &self.bytes[self.start..];
            let element = element(&mut rest);
            let end = self.bytes.len() - rest.len();
            match element {
                Ok(Element::Whole(value)) => {
                    self.start = end;
                    if let Some(reply) = self.place(value) {
                        return Ok(Some(reply));
                    }
                }
                Ok(Element::Array(count)) if self.open.len() < DEEPEST => {
                    self.start = end;
                    // No element takes less than four bytes, whatever count the server claims.
                    let elements = Vec::with_capacity(count.min(rest.len() / 4));
                    self.open.push(Open { elements, count });
                }
                Err(Unread::Incomplete) => return Ok(None),
                Ok(Element::Array(_)) | Err(Unread::Nonsense) => {
                    return Err(Cause::new("the server sent what is no reply"));
                }
            }
        }
    }

    /// Puts a value where it belongs, and returns the reply that this completes.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        while let Some(mut array) = self.open.pop() {
            array.elements.push(value);
            if array.elements.len() < array.count {
                self.open.push(array);
                return None;
            }
            value = Value::Array(array.elements);
        }
        Some(value)
    }
}

/// Takes an element off the front of `bytes`, if it is complete.
fn element(bytes: &mut &[u8]) -> Result<Element, Unread> {
    let mut rest = *bytes;
    let line = line(&mut rest)?;
    let (kind, said) = line.split_first().ok_or(Unread::Nonsense)?;
    let value = match kind {
        b':' => Value::Int(number(said)?),
        b'$' => match count(said)? {
            Some(length) => text(&mut rest, length)?,
            None => Value::Nil,
        },
        b'*' => match count(said)? {
            Some(0) => Value::Array(Vec::new()),
            Some(count) => {
                *bytes = rest;
                return Ok(Element::Array(count));
            }
            None => Value::Nil,
        },
        b'+' if said == b"OK" => Value::Okay,
        b'+' => Value::SimpleString(String::from_utf8_lossy(said).into_owned()),
        // The crate alone can make one; it is rare.
        b'-' => {
            redis::parse_redis_value(&[line, b"\r\n"].concat()).map_err(|_| Unread::Nonsense)?
        }
        _ => return Err(Unread::Nonsense),
    };
    *bytes = rest;
    Ok(Element::Whole(value))
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
        let bytes =
            b"*4\r\n:1\r\n*2\r\n*0\r\n$-1\r\n$5\r\na\r\nbc\r\n*-1\r\n-NOSCRIPT no\r\n+OK\r\n";
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
        assert_eq!(read.len(), 3);
        let inner = Value::Array(vec![Value::Array(vec![]), Value::Nil]);
        let text = Value::BulkString(b"a\r\nbc".to_vec());
        assert_eq!(read[0], Value::Array(vec![Value::Int(1), inner, text, Value::Nil]));
        assert!(matches!(&read[1], Value::ServerError(error) if error.code() == "NOSCRIPT"));
        assert_eq!(read[2], Value::Okay);
    }

    #[test]
    fn a_long_reply_in_many_pieces_is_read_once() {
        let mut replies = Replies::default();
        replies.add(b"*300000\r\n");
        let started = std::time::Instant::now();
        for _ in 0..300_000 {
            assert_eq!(replies.next(), Ok(None));
            replies.add(b":1\r\n");
        }

        assert!(matches!(replies.next(), Ok(Some(Value::Array(all))) if all.len() == 300_000));
        // Read anew with each piece it takes minutes.
        assert!(started.elapsed().as_secs() < 20);
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
