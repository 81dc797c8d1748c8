//! What the tests share: a private Redis, and a store whose answers go astray.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod flaky;
pub mod server;
