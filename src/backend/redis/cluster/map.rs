//! The nodes of a Cluster, and which has which slot.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::listener::{Ear, Listener};
use super::node::Node;
use crate::backend::redis::opener::Opener;
use crate::backend::redis::settings::Endpoint;
use crate::key::{SLOTS, Slot};

/// The nodes of a Cluster that are known, and which has which slot.
#[derive(Debug, Default)]
pub struct Map {
    /// For each slot; empty as long as nothing is known.
    owners: Vec<Option<Arc<Node>>>,
    nodes: HashMap<Endpoint, Arc<Node>>,
    ear: Option<Arc<Ear>>,
}

impl Map {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The node that has `slot`.
    pub fn owner(&self, slot: Slot) -> Option<Arc<Node>> {
        self.owners.get(usize::from(slot)).cloned().flatten()
    }

    /// All nodes that have slots.
    pub fn primaries(&self) -> Vec<Arc<Node>> {
        let mut primaries: Vec<Arc<Node>> = Vec::new();
        for owner in self.owners.iter().flatten() {
            // Slots of one node mostly come in a row.
            if !primaries.iter().rev().any(|known| Arc::ptr_eq(known, owner)) {
                primaries.push(owner.clone());
            }
        }
        primaries
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// The node at `endpoint`, reached as `opener` reaches others.
    pub fn node(&mut self, endpoint: Endpoint, opener: &Opener) -> Arc<Node> {
        let ear = self.ear.as_ref();
        let new = |endpoint: &Endpoint| Arc::new(Node::new(endpoint.clone(), opener, ear));
        self.nodes.entry(endpoint).or_insert_with_key(new).clone()
    }

    /// The messages of all nodes, also of those to come, go to `ear`.
    pub fn listen(&mut self, ear: Arc<Ear>) -> Vec<Arc<Listener>> {
        let listeners = self.primaries().iter().map(|node| node.listen(&ear)).collect();
        self.ear = Some(ear);
        listeners
    }

    /// `slot` is this node's. If it was another's, says whether the node had slots before.
    pub fn assign(&mut self, slot: Slot, node: &Arc<Node>) -> Option<bool> {
        let had_slots = has_slots(&self.owners, node);
        let owner = self.owners.get_mut(usize::from(slot))?;
        let before = owner.replace(node.clone())?;
        (!Arc::ptr_eq(&before, node)).then_some(had_slots)
    }

    /// The slots are of these nodes, and of no others. Returns the nodes that have slots which were
    /// another's, each with whether it had slots before.
    pub fn replace(
        &mut self,
        owned: impl Iterator<Item = (RangeInclusive<Slot>, Endpoint)>,
        opener: &Opener,
    ) -> Vec<(Arc<Node>, bool)> {
        let mut owners = vec![None; SLOTS];
        for (slots, endpoint) in owned {
            let node = self.node(endpoint, opener);
            node.opener().server().has_slot(*slots.start());
            for slot in slots {
                if let Some(owner) = owners.get_mut(usize::from(slot)) {
                    *owner = Some(node.clone());
                }
            }
        }
        let before = std::mem::replace(&mut self.owners, owners);
        let mut took_over: Vec<(Arc<Node>, bool)> = Vec::new();
        for (before_it, now) in before.iter().zip(&self.owners) {
            let (Some(before_it), Some(now)) = (before_it, now) else { continue };
            let is_known = |(node, _): &(Arc<Node>, bool)| Arc::ptr_eq(node, now);
            if !Arc::ptr_eq(before_it, now) && !took_over.iter().rev().any(is_known) {
                took_over.push((now.clone(), has_slots(&before, now)));
            }
        }
        self.forget_unused();
        took_over
    }

    /// Lets go of nodes that have no slots, unless they may be about to get some.
    fn forget_unused(&mut self) {
        let primaries = self.primaries();
        self.nodes.retain(|_, node| {
            !node.is_unused() || primaries.iter().any(|primary| Arc::ptr_eq(primary, node))
        });
    }
}

/// Whether any slot is this node's.
fn has_slots(owners: &[Option<Arc<Node>>], node: &Arc<Node>) -> bool {
    owners.iter().flatten().any(|owner| Arc::ptr_eq(owner, node))
}
