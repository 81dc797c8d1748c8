//! The direct links of one environment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::Store;
use crate::backend::redis::direct::{Direct, Opened};
use crate::locker::Locker;

/// The direct links of one environment, by the numbers JavaScript knows them by.
#[derive(Default)]
pub struct Links {
    by_number: HashMap<u32, Arc<Direct>>,
    /// By the address of the locker, which whoever uses the link keeps.
    in_use: HashMap<usize, Use>,
    next_number: u32,
}

struct Use {
    number: u32,
    /// Lockers that were opened with equal settings are one, and share a link.
    times: usize,
}

impl Links {
    /// The link of `locker`, for one who will [let go](Self::let_go) of it; `None` where there
    /// can be none. `opened` makes what is told when the link with a number is open.
    pub fn of(
        &mut self,
        locker: &Arc<Locker<Store>>,
        opened: impl FnOnce(u32) -> Opened,
    ) -> Option<Arc<Direct>> {
        let address = Arc::as_ptr(locker) as usize;
        if let Some(used) = self.in_use.get_mut(&address) {
            used.times += 1;
            return self.by_number.get(&used.number).cloned();
        }
        let number = self.next_number;
        let direct = locker.backend().direct(opened(number))?;
        self.next_number = number.wrapping_add(1);
        self.in_use.insert(address, Use { number, times: 1 });
        self.by_number.insert(number, direct.clone());
        Some(direct)
    }

    /// Lets go of the link of `locker`, which closes when nobody else uses it.
    pub fn let_go(&mut self, locker: &Arc<Locker<Store>>) {
        let address = Arc::as_ptr(locker) as usize;
        let Some(used) = self.in_use.get_mut(&address) else { return };
        used.times -= 1;
        if used.times == 0 {
            let number = used.number;
            self.in_use.remove(&address);
            if let Some(direct) = self.get(number) {
                direct.retire();
                self.tidy(number);
            }
        }
    }

    /// The link with this number.
    pub fn get(&self, number: u32) -> Option<Arc<Direct>> {
        self.by_number.get(&number).cloned()
    }

    /// Forgets the link with this number if it is closed for good.
    pub fn tidy(&mut self, number: u32) {
        if self.by_number.get(&number).is_some_and(|direct| direct.is_gone()) {
            self.by_number.remove(&number);
        }
    }

    /// All links.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Direct>> {
        self.by_number.values()
    }

    /// Takes all links away.
    pub fn take(&mut self) -> Vec<Arc<Direct>> {
        self.in_use.clear();
        self.by_number.drain().map(|(_, direct)| direct).collect()
    }
}
