//! A task that ends with its owner.

use tokio::task::AbortHandle;

/// A task that is ended when this is dropped.
#[derive(Debug)]
pub struct Task(AbortHandle);

impl Task {
    /// Starts a task.
    pub fn start<F: Future<Output = ()> + Send + 'static>(task: F) -> Self {
        Task(tokio::spawn(task).abort_handle())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Ends it.
    pub fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end();
    }
}
