//! One [`Locker`] per equal [`Settings`] in a process: its managers and threads share the
//! connection and the lines in front of each key.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, Weak};

use crate::backend::{Settings, Store};
use crate::error::Result;
use crate::locker::Locker;
use crate::mutex::lock;

type Lockers = HashMap<Settings, Weak<Locker<Store>>>;

static LOCKERS: LazyLock<Mutex<Lockers>> = LazyLock::new(Mutex::default);

/// The locker for `settings`; it lives as long as somebody holds it. An error names what
/// cannot be used in the settings.
pub fn locker(settings: Settings) -> Result<Arc<Locker<Store>>> {
    let mut lockers = lock(&LOCKERS);
    if let Some(locker) = lockers.get(&settings).and_then(Weak::upgrade) {
        return Ok(locker);
    }
    let locker = Arc::new(Locker::new(Store::open(&settings)?, settings.patience()));
    lockers.retain(|_, locker| locker.strong_count() > 0);
    lockers.insert(settings, Arc::downgrade(&locker));
    Ok(locker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(name: &str) -> Arc<Locker<Store>> {
        locker(Settings::Memory(name.to_owned())).unwrap()
    }

    #[test]
    fn equal_settings_share_a_locker_and_others_do_not() {
        let (one, same, other) = (memory("shared"), memory("shared"), memory("other"));

        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn lockers_nobody_holds_leave_nothing_behind() {
        for name in 0..1000 {
            memory(&format!("dropped-{name}"));
        }
        let _last = memory("last");

        let lockers = LOCKERS.lock().unwrap();
        assert!(lockers.len() < 10, "{} left", lockers.len());
    }
}
