//! What processes and others do, as data.

/// What a process does. Ids are numbered over all processes.
#[derive(Debug, Clone)]
pub enum Step {
    Acquire {
        process: usize,
        key: usize,
        id: usize,
        wait: bool,
    },
    Release {
        process: usize,
        key: usize,
        id: usize,
    },
    /// By whoever holds the key.
    HolderReleases {
        process: usize,
        key: usize,
    },
    Extend {
        process: usize,
        key: usize,
        id: usize,
        milliseconds: f64,
    },
    HolderExtends {
        process: usize,
        key: usize,
        milliseconds: f64,
    },
    Abandon {
        process: usize,
        key: usize,
        id: usize,
    },
    Beat {
        process: usize,
        key: usize,
        id: usize,
        delay: u64,
    },
    Read {
        process: usize,
        key: usize,
    },
    /// All keys at once, the first with this id and each further one with the next.
    All {
        process: usize,
        id: usize,
    },
    Steal {
        process: usize,
        key: usize,
        id: usize,
    },
    Force {
        process: usize,
        key: usize,
    },
    List {
        process: usize,
        key: usize,
    },
    /// The lock reaches the end of its time.
    Expire {
        key: usize,
    },
    /// `first`: before anybody else could, at the end of another's lock.
    TakeAsVersion2 {
        key: usize,
        id: usize,
        first: bool,
    },
    ReleaseAsVersion2 {
        key: usize,
    },
    Flush,
    Subscribe {
        process: usize,
    },
    LoseSubscription {
        process: usize,
    },
    /// The step before is carried out once more.
    Again,
    Wait {
        milliseconds: u64,
    },
}
