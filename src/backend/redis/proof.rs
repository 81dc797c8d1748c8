//! The proof that replicas have what was granted: without it a failover may lose the grant.

use redis::{Cmd, Value};

use super::answer;
use super::settings::Replication;
use crate::error::{Cause, Error, Result};

impl Replication {
    /// The command that waits for the replicas to have what was written before on the same connection.
    pub fn wait(&self) -> Cmd {
        let milliseconds = self.timeout.as_millis().max(1);
        let mut command = redis::cmd("WAIT");
        // Redis counts them in an integer.
        command.arg(self.replicas).arg(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        command
    }

    /// Understands the reply to [`wait`](Self::wait); an error says how many have it.
    pub fn check(&self, reply: Value) -> Result<()> {
        let (got, cause) = match answer::reply(reply) {
            Ok(Value::Int(got)) => {
                let got = u32::try_from(got).unwrap_or(0);
                if got >= self.replicas {
                    return Ok(());
                }
                (got, Cause::timeout("no more of them answered", self.timeout))
            }
            Ok(_) => (0, Cause::new("the server sent no number for WAIT")),
            Err(error) => (0, Cause::new(error.to_string())),
        };
        Err(Error::NotReplicated { wanted: self.replicas, got, cause })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TWO: Replication = Replication { replicas: 2, timeout: Duration::from_millis(50) };

    #[test]
    fn enough_replicas_are_a_proof_and_fewer_are_counted() {
        assert_eq!(TWO.check(Value::Int(2)), Ok(()));
        assert_eq!(TWO.check(Value::Int(3)), Ok(()));
        let error = TWO.check(Value::Int(1)).unwrap_err();

        assert_eq!(error.code(), "ERR_LOCK_NOT_REPLICATED");
        assert!(error.to_string().starts_with("1 of 2 replicas"), "{error}");
    }

    #[test]
    fn a_refusal_to_wait_proves_nothing_and_says_why() {
        let refusal = redis::parse_redis_value(b"-NOPERM no permissions\r\n").unwrap();

        let error = TWO.check(refusal).unwrap_err();

        assert!(error.to_string().ends_with("NOPERM no permissions"), "{error}");
    }
}
