//! The same steps on Redis and on the memory store, compared one by one.

use std::time::Duration;

use dist_lock::backend::Redis;
use dist_lock::backend::memory::Client;
use tokio::runtime::{Builder, Runtime};

use super::super::server::Server;
use super::{Hand, InMemory, InRedis, Step, World};

/// Redis counts milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

/// What came of a comparison.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Same,
    /// From this step on nobody can say what Redis should have answered: something began or ended in just
    /// the milliseconds in which it did.
    Unclear(usize),
    Differs(String),
}

/// A memory store whose clock shows the time we say.
struct Specification {
    runtime: Runtime,
    hand: InMemory,
    processes: Vec<Client>,
}

impl Specification {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().start_paused(true).build().unwrap();
        let hand = InMemory::new();
        let processes = hand.processes();
        Specification { runtime, hand, processes }
    }
}

/// A Redis, and the memory store twice: no step of Redis is earlier than the same step of the first, nor later
/// than that of the second.
pub struct Stage {
    bounds: [Specification; 2],
    runtime: Runtime,
    hand: InRedis,
    processes: Vec<Redis>,
}

impl Stage {
    pub fn new(server: &Server) -> Self {
        Stage {
            bounds: [Specification::new(), Specification::new()],
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            hand: InRedis::new(server),
            processes: InRedis::processes(server),
        }
    }

    /// Carries out `steps` on all stores.
    pub fn compare(&self, steps: &[Step]) -> Outcome {
        let Stage { bounds, runtime, hand, processes } = self;
        let mut real = runtime.block_on(World::new(hand, processes));
        let mut specified = bounds.each_ref().map(|Specification { runtime, hand, processes }| {
            (runtime, runtime.block_on(World::new(hand, processes)))
        });
        for (number, step) in steps.iter().enumerate() {
            let began = hand.time();
            let mut says = runtime.block_on(real.take(step));
            let ended = hand.time();
            says.told = runtime.block_on(real.told());
            let mut times = [began, ended].into_iter();
            let [earliest, latest] = specified.each_mut().map(|(runtime, world)| {
                runtime.block_on(async {
                    world.hand.set_time(times.next().unwrap_or(ended)).await;
                    let mut says = world.take(step).await;
                    says.told = world.told().await;
                    says
                })
            });
            if !earliest.is_like(&latest) {
                return Outcome::Unclear(number);
            }
            let blur = Duration::from_millis(ended - began) + ROUNDING;
            if !(says.is_like(&earliest) && says.lasts_between(&earliest, &latest, blur)) {
                return Outcome::Differs(format!(
                    "step {number}, {step:?}:\n redis: {says:?}\nmemory: {earliest:?}\n     or: {latest:?}"
                ));
            }
        }
        match hand.endless() {
            0 => Outcome::Same,
            endless => Outcome::Differs(format!("{endless} keys have no end")),
        }
    }
}
