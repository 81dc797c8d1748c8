//! What can go wrong, in one place, with all its wording.
//!
//! A lock that is taken is an answer, never an error; an error means that nothing was learned
//! or that Redis said no.

use std::io;
use std::time::Duration;

use crate::backend::Sharing;

/// The result of everything that asks a backend.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call could not be answered. [`Error::code`] is stable, the text is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent: there is no connection. Trying again is safe.
    #[error("cannot reach Redis: {0}")]
    Unreachable(Cause),

    /// Something was sent and no answer came: it may have been carried out or not.
    #[error("no answer from Redis, the outcome is unknown: {0}")]
    Unknown(Cause),

    /// The server could not prove who it is; trying again would not help.
    #[error("cannot trust Redis: {0}")]
    Untrusted(Cause),

    /// The server ended the encryption: it wants a certificate of ours, or another version of TLS;
    /// trying again would not help.
    #[error("Redis refuses the encrypted connection: {0}")]
    Refused(Cause),

    /// Redis answered with an error.
    #[error("{code} {message}")]
    Redis {
        /// The first word of the answer: `NOPERM`, `READONLY`, `WRONGTYPE`, …
        code: String,
        /// The rest of the answer.
        message: String,
    },

    /// Redis refused the credentials that a function gave; at the next connection it may give others.
    #[error("{code} {message}")]
    Credentials {
        /// The first word of the answer: `WRONGPASS`, or `ERR` before Redis 6.
        code: String,
        /// The rest of the answer.
        message: String,
    },

    /// Redis does not know a command without which there can be no lock.
    #[error("this Redis cannot keep locks: {0}")]
    Unsupported(Cause),

    /// It was done, but not proven to survive the primary: too few replicas have it.
    #[error("{got} of {wanted} replicas have it: {cause}")]
    NotReplicated {
        /// How many replicas should have it.
        wanted: u32,
        /// How many do, as far as is known.
        got: u32,
        /// Why there are no more.
        cause: Cause,
    },

    /// Locks that were to be taken at once lie in different slots of a Cluster.
    #[error("these locks lie in different slots of the Cluster: give their names the same {{tag}}")]
    CrossSlot,

    /// The lock is held, or waited for, by others who share it in another way.
    #[error("the lock is shared: {}", described(.0))]
    Permits(Sharing),

    /// The connection was closed by those it belonged to.
    #[error("the connection was closed")]
    Closed,

    /// The settings of a connection cannot be used, with the reason.
    #[error("{0}")]
    Settings(String),
}

impl Error {
    /// Another server took over, and nothing is granted for the time that is `left`.
    pub fn settling(left: Duration) -> Self {
        let left = left.as_millis();
        let message = format!("another server took over, and it settles for {left} ms more");
        Error::Unreachable(Cause::new(message))
    }

    /// The stable name of this error, the `code` of a `LockError`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unreachable(_) | Error::Untrusted(_) | Error::Refused(_) => {
                "ERR_LOCK_UNREACHABLE"
            }
            Error::Unknown(_) => "ERR_LOCK_UNKNOWN",
            Error::Redis { .. } | Error::Credentials { .. } => "ERR_LOCK_REDIS",
            Error::CrossSlot => "ERR_LOCK_CROSS_SLOT",
            Error::Permits(_) => "ERR_LOCK_PERMITS",
            Error::Unsupported(_) => "ERR_LOCK_UNSUPPORTED",
            Error::NotReplicated { .. } => "ERR_LOCK_NOT_REPLICATED",
            Error::Closed => "ERR_LOCK_CLOSED",
            Error::Settings(_) => "ERR_INVALID_ARG_VALUE",
        }
    }

    /// The first word of what Redis answered, if it answered.
    pub fn redis_code(&self) -> Option<&str> {
        match self {
            Error::Redis { code, .. } | Error::Credentials { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether a node of a Cluster refused a script because of the slot of its keys, whatever the keys.
    pub fn is_of_whole_slot(&self) -> bool {
        matches!(self.redis_code(), Some("MOVED" | "CLUSTERDOWN"))
    }

    /// Whether the same step may succeed a moment later: there was no connection, it broke, the
    /// server is still reading its data, a Cluster is changing, or a function may give other
    /// credentials.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable(_) | Error::Unknown(_) | Error::Credentials { .. } => true,
            Error::Redis { code, .. } => {
                matches!(&**code, "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN")
            }
            Error::Untrusted(_)
            | Error::Refused(_)
            | Error::CrossSlot
            | Error::Permits(_)
            | Error::Unsupported(_)
            | Error::NotReplicated { .. }
            | Error::Closed
            | Error::Settings(_) => false,
        }
    }
}

fn described(sharing: &Sharing) -> String {
    match sharing {
        Sharing::Permits(permits) => format!("its holders say that there are {permits} permits"),
        _ => "its holders say that any number may".into(),
    }
}

/// The reason underneath an error, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The name the operating system and Node give it (`ECONNREFUSED`), where there is one.
    pub code: Option<&'static str>,
    /// What happened, in words.
    pub message: String,
}

impl Cause {
    /// A reason that has only words.
    pub fn new(message: impl Into<String>) -> Self {
        Cause { code: None, message: message.into() }
    }

    /// The other side closed the connection.
    pub fn hung_up() -> Self {
        Cause { code: Some("ECONNRESET"), message: "the server hung up".into() }
    }

    /// No answer came within `waited`.
    pub fn timeout(what: &str, waited: Duration) -> Self {
        let message = format!("{what} within {} ms", waited.as_millis());
        Cause { code: Some("ETIMEDOUT"), message }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        Cause { code: name_of(error.kind()), message: error.to_string() }
    }
}

/// Node's name for an input/output failure.
fn name_of(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED",
        io::ErrorKind::ConnectionReset => "ECONNRESET",
        io::ErrorKind::ConnectionAborted => "ECONNABORTED",
        io::ErrorKind::BrokenPipe => "EPIPE",
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::HostUnreachable => "EHOSTUNREACH",
        io::ErrorKind::NetworkUnreachable => "ENETUNREACH",
        io::ErrorKind::UnexpectedEof => "ECONNRESET",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_reads_as_one_line_that_names_its_reason() {
        let refused = Cause::from(&io::Error::from(io::ErrorKind::ConnectionRefused));
        let texts = [
            Error::Unreachable(refused.clone()).to_string(),
            Error::Unknown(refused).to_string(),
            Error::Redis { code: "NOPERM".into(), message: "no".into() }.to_string(),
        ];

        assert_eq!(
            texts,
            [
                "cannot reach Redis: connection refused",
                "no answer from Redis, the outcome is unknown: connection refused",
                "NOPERM no",
            ]
        );
    }

    #[test]
    fn a_refusal_is_final_and_a_server_that_is_loading_is_not() {
        let redis = |code: &str| Error::Redis { code: code.into(), message: String::new() };

        assert!(redis("LOADING").is_transient());
        assert!(!redis("NOPERM").is_transient());
        assert!(!redis("WRONGPASS").is_transient());
        let (code, message) = ("WRONGPASS".into(), String::new());
        assert!(Error::Credentials { code, message }.is_transient());
        assert!(!Error::Untrusted(Cause::new("expired")).is_transient());
    }
}
