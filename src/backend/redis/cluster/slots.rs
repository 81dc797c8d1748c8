//! Which node has which slot, as the nodes tell it.

use redis::Value;

use super::settings::Address;
use crate::key::{SLOTS, Slot};

/// The command that asks for all slots. Redis has had it since it has had Clusters.
pub fn ask() -> redis::Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// Slots in a row that are of one primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Slot,
    /// The last.
    pub last: Slot,
    /// Where their primary listens.
    pub primary: Address,
}

/// Understands the reply to [`ask`] of the node at `asked`. What it does not know is left out.
pub fn read(reply: &Value, asked: &Address) -> Vec<Range> {
    let Value::Array(ranges) = reply else { return Vec::new() };
    ranges.iter().filter_map(|range| read_range(range, asked)).collect()
}

fn read_range(range: &Value, asked: &Address) -> Option<Range> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
    let slot =
        |number: &i64| Slot::try_from(*number).ok().filter(|slot| usize::from(*slot) < SLOTS);
    Some(Range {
        first: slot(first)?,
        last: slot(last)?,
        primary: Address {
            host: named(text(host), asked).or_else(|| noted(primary, "ip"))?,
            port: port_of(*port, asked)?,
        },
    })
}

/// What a node notes of itself behind its id: names and values in turn.
fn noted(node: &[Value], name: &str) -> Option<String> {
    let Value::Array(notes) = node.get(3)? else { return None };
    let mut notes =
        notes.chunks_exact(2).filter_map(|note| Some((text(&note[0])?, text(&note[1])?)));
    notes.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Where a node sends those who ask for a key that it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirection {
    /// It is for this node from now on.
    Moved(Address),
    /// It is for this node this once.
    Ask(Address),
}

/// The redirection in an error of the node at `asked`: `MOVED` or `ASK`, the slot, and an address.
pub fn redirection(code: &str, message: &str, asked: &Address) -> Option<Redirection> {
    let (_, address) = message.split_once(' ')?;
    let (host, port) = address.trim_end().rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address =
        Address { host: named(Some(host), asked)?, port: port_of(port.parse().ok()?, asked)? };
    match code {
        "MOVED" => Some(Redirection::Moved(address)),
        "ASK" => Some(Redirection::Ask(address)),
        _ => None,
    }
}

/// A node that knows no name for another, or for itself, means the one by which it was asked; `?` is
/// how it writes that it was to use a name and was given none.
fn named(host: Option<&str>, asked: &Address) -> Option<String> {
    match host {
        None | Some("") => Some(asked.host.clone()),
        Some("?") => None,
        Some(host) => Some(host.to_owned()),
    }
}

fn port_of(port: i64, asked: &Address) -> Option<u16> {
    match port {
        // How Redis writes that it does not know.
        0 => Some(asked.port),
        port => u16::try_from(port).ok(),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, primary: Vec<Value>) -> Value {
        let replica = Value::Array(vec![bulk("10.0.0.9"), Value::Int(9), bulk("id9")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(primary), replica])
    }

    #[test]
    fn a_range_belongs_to_the_first_node_named_with_it() {
        let primary = vec![bulk("10.0.0.1"), Value::Int(7001), bulk("id1")];
        let reply = Value::Array(vec![range(0, 16383, primary)]);

        let whole = Range { first: 0, last: 16383, primary: address("10.0.0.1", 7001) };
        assert_eq!(read(&reply, &address("seed", 7000)), [whole]);
    }

    #[test]
    fn a_node_without_a_name_is_reached_where_it_was_asked() {
        let asked = address("redis.example", 7000);
        for nameless in [Value::Nil, bulk("")] {
            let reply = Value::Array(vec![range(0, 5, vec![nameless, Value::Int(7001)])]);
            assert_eq!(read(&reply, &asked)[0].primary, address("redis.example", 7001));
        }
        let moved = Redirection::Moved(address("redis.example", 6381));
        assert_eq!(redirection("MOVED", "3999 :6381", &asked), Some(moved));
    }

    #[test]
    fn a_node_that_was_given_no_name_is_reached_by_its_address() {
        let notes = Value::Array(vec![bulk("ip"), bulk("10.0.0.1")]);
        let primary = vec![bulk("?"), Value::Int(7001), bulk("id1"), notes];
        let reply = Value::Array(vec![range(0, 5, primary)]);

        assert_eq!(read(&reply, &address("seed", 7000))[0].primary, address("10.0.0.1", 7001));
    }

    #[test]
    fn a_node_that_cannot_be_named_is_left_out() {
        let reply = Value::Array(vec![
            range(0, 5, vec![bulk("?"), Value::Int(7001)]),
            range(6, 70000, vec![bulk("a"), Value::Int(7001)]),
            Value::Nil,
        ]);

        assert_eq!(read(&reply, &address("seed", 7000)), []);
        assert_eq!(redirection("MOVED", "3999 ?:6381", &address("seed", 7000)), None);
    }

    #[test]
    fn a_redirection_names_a_host_or_an_address_of_any_kind() {
        let asked = address("seed", 7000);
        let ask = |message| redirection("ASK", message, &asked);

        assert_eq!(ask("1 node.example:1"), Some(Redirection::Ask(address("node.example", 1))));
        assert_eq!(ask("1 ::1:6381"), Some(Redirection::Ask(address("::1", 6381))));
        for nonsense in ["", "1", "1 host", "1 host:port", "1 host:70000"] {
            assert_eq!(ask(nonsense), None, "{nonsense}");
        }
        assert_eq!(redirection("ERR", "1 host:1", &asked), None);
    }
}
