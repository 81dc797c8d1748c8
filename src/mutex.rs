//! How everything here takes a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a mutex, also after another thread has panicked with it: what is behind one is whole at every
/// step, and no panic may become another.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
