//! What is told of all that the store does, and to whom.

use dist_lock::backend::{Text, Token};
use tokio::time::Instant;

/// What a step was.
#[derive(Debug, Clone)]
pub struct Step {
    pub process: usize,
    pub name: &'static str,
    pub key: Text,
    pub id: Text,
    pub owner: Text,
    /// When its process asked for it.
    pub asked: Instant,
    /// Whether it asked for a place in the queue.
    pub waits: bool,
}

/// What a step's answer or a message told.
#[derive(Debug, Default, Clone)]
pub struct Fact {
    pub tokens: Vec<(Text, Token)>,
    /// The caller is in the queue now.
    pub queued: bool,
    /// The store did what was asked: it released, extended, or knew the waiter.
    pub done: bool,
}

/// Sees everything the store does, in order.
pub trait Audit: Send + Sync + 'static {
    /// A step for this key is about to be carried out.
    fn before(&self, key: &Text);
    /// A step was carried out just now.
    fn step(&self, step: &Step, fact: &Fact);
    /// A process was disturbed until then, by more than a lost message.
    fn disturbed(&self, process: usize, until: Instant);
}

/// Nobody looks.
pub struct Unaudited;

impl Audit for Unaudited {
    fn before(&self, _: &Text) {}
    fn step(&self, _: &Step, _: &Fact) {}
    fn disturbed(&self, _: usize, _: Instant) {}
}
