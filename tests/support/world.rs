//! The same processes on the memory store and on Redis, and what each said and was told.

mod hand;
mod said;
mod stage;
mod step;

use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::{
    Acquired, AcquiredAll, Beat, CLAIM, Handed, Held, Holder, Listing, Message, Messages, Queued,
    Released, Sharing, Text, View, Waiter,
};
use dist_lock::error::{Error, Result};

pub use hand::{Hand, InMemory, InRedis};
use said::{Said, Tokens};
pub use stage::{Outcome, Stage};
pub use step::Step;

/// Long enough that no lock ends by itself while a sequence runs; ends are made by its steps.
pub const TTL: Duration = Duration::from_secs(600);
pub const PROCESSES: usize = 3;
/// How many ids each process has.
pub const IDS: usize = 6;
/// Names that could be taken apart in the wrong place, or end up in another slot.
const KEYS: [&str; 2] = ["lock:a", "lock:{b} c%d"];
const OWNERS: [&str; 4] = ["ann", "", "two words ", "line\nünd %s {x}"];

/// Three processes that use one store, and what they were told.
struct World<'a, B, H> {
    hand: &'a H,
    processes: &'a [B],
    listening: Vec<Option<Messages>>,
    tokens: Tokens,
    last: Option<Step>,
}

fn id(number: usize) -> Text {
    format!("id{number}").into()
}

fn caller(number: usize) -> Waiter {
    // One is shorter than the claim, and one is even and long.
    let ttl = if number % IDS == 1 { CLAIM - Duration::from_millis(500) } else { TTL };
    let sharing = match number % IDS {
        4 => Sharing::Shared,
        // They do not all agree.
        5 => Sharing::of(if number < 2 * IDS { 2 } else { 3 }),
        _ => Sharing::Exclusive,
    };
    Waiter { id: id(number), owner: OWNERS[number % OWNERS.len()].into(), ttl, sharing }
}

impl<'a, B: Backend, H: Hand> World<'a, B, H> {
    async fn new(hand: &'a H, processes: &'a [B]) -> Self {
        hand.flush();
        let listening = processes.iter().map(|_| None).collect();
        let (tokens, last) = Default::default();
        let mut world = World { hand, processes, listening, tokens, last };
        // The last process is not subscribed, until it is.
        for process in 0..PROCESSES - 1 {
            world.subscribe(process).await;
        }
        world
    }

    async fn subscribe(&mut self, process: usize) {
        self.lose_subscription(process).await;
        self.listening[process] = Some(self.processes[process].subscribe().await.unwrap());
        self.settle().await;
    }

    async fn lose_subscription(&mut self, process: usize) {
        self.listening[process] = None;
        self.settle().await;
    }

    async fn settle(&self) {
        self.hand.settle(self.listening.iter().flatten().count()).await;
    }

    async fn take(&mut self, step: &Step) -> Said {
        let step = match (step, self.last.take()) {
            (Step::Again, None) => return Said::default(),
            (Step::Again, Some(last)) => last,
            (step, _) => step.clone(),
        };
        self.last = Some(step.clone());
        self.tokens.before = self.tokens.largest;
        self.carry_out(step).await
    }

    async fn carry_out(&mut self, step: Step) -> Said {
        let name = |key: usize| Text::from(KEYS[key]);
        let version_2 = |id: usize| Text::from(format!("old{id}"));
        let words = |words: String| Said { words, ..Said::default() };
        match step {
            Step::Acquire { process, key, id, wait } => {
                let wait = wait && self.listening[process].is_some();
                let asked = caller(id);
                let answer = self.processes[process].acquire(&name(key), &asked, wait).await;
                self.say(answer, |world, answer| match answer {
                    Acquired::Held(Some(token)) => {
                        words(format!("held {}", world.tokens.name(&asked.id, token)))
                    }
                    Acquired::Waits(view, Some(_)) => world.view("waits", view),
                    Acquired::Waits(view, None) => world.view("taken", view),
                    other => words(format!("{other:?}")),
                })
            }
            Step::All { process, id: number } => {
                let asked = caller(number);
                let ids = (0..KEYS.len()).map(|at| Waiter { id: id(number + at), ..asked.clone() });
                let wanted: Vec<_> = (0..KEYS.len()).map(name).zip(ids).collect();
                let answer = self.processes[process].acquire_all(&wanted).await;
                self.say(answer, |world, answer| match answer {
                    AcquiredAll::Held(token) => {
                        let ids = wanted.iter().map(|(_, waiter)| &waiter.id);
                        let named: Vec<_> = ids.map(|id| world.tokens.name(id, token)).collect();
                        words(format!("held {named:?}"))
                    }
                    taken => words(format!("{taken:?}")),
                })
            }
            Step::Release { process, key, id: number } => {
                let answer = self.processes[process].release(&name(key), &id(number)).await;
                self.say(answer, Self::released)
            }
            Step::HolderReleases { process, key } => {
                let holder = self.holder(process, &name(key)).await;
                let answer = self.processes[process].release(&name(key), &holder).await;
                self.say(answer, Self::released)
            }
            Step::Extend { process, key, id: number, milliseconds } => {
                let process = &self.processes[process];
                let answer = process.extend(&name(key), &id(number), milliseconds).await;
                self.say(answer, Self::released)
            }
            Step::HolderExtends { process, key, milliseconds } => {
                let holder = self.holder(process, &name(key)).await;
                let process = &self.processes[process];
                let answer = process.extend(&name(key), &holder, milliseconds).await;
                self.say(answer, Self::released)
            }
            Step::Abandon { process, key, id } => {
                let answer = self.processes[process].abandon(&name(key), &caller(id)).await;
                self.say(answer, Self::released)
            }
            Step::Beat { process, key, id, delay } => {
                let delay = Duration::from_millis(delay);
                let answer = self.processes[process].beat(&name(key), &caller(id), delay).await;
                self.say(answer, |world, answer| match answer {
                    Beat::Known(view) => world.view("known", view),
                    Beat::Lost(view) => world.view("lost", view),
                    Beat::NoQueue => words("no queue".into()),
                })
            }
            Step::Read { process, key } => {
                let answer = self.processes[process].read(&name(key)).await;
                self.say(answer, Self::holder_read)
            }
            Step::Steal { process, key, id } => {
                let asked = caller(id);
                let answer = self.processes[process].steal(&name(key), &asked).await;
                self.say(answer, |world, answer| match answer {
                    Acquired::Held(Some(token)) => {
                        words(format!("held {}", world.tokens.name(&asked.id, token)))
                    }
                    other => words(format!("{other:?}")),
                })
            }
            Step::Force { process, key } => {
                let answer = self.processes[process].force(&name(key)).await;
                self.say(answer, Self::released)
            }
            Step::List { process, key } => {
                let answer = self.processes[process].list(&[name(key)]).await;
                self.say(answer, |world, listings| world.listed(listings))
            }
            Step::Expire { key } => {
                self.hand.expire(&name(key));
                Said::default()
            }
            Step::TakeAsVersion2 { key, id, first } => {
                if first {
                    self.hand.expire(&name(key));
                }
                words(self.hand.take_as_version_2(&name(key), &version_2(id)).to_string())
            }
            Step::ReleaseAsVersion2 { key } => {
                let mut ids = [version_2(0), version_2(1)].into_iter();
                words(ids.any(|id| self.hand.release_as_version_2(&name(key), &id)).to_string())
            }
            Step::Flush => {
                self.hand.flush();
                // Those before it are larger than the time where the clock only moves between steps.
                self.tokens = Tokens::default();
                Said::default()
            }
            Step::Subscribe { process } => {
                self.subscribe(process).await;
                Said::default()
            }
            Step::LoseSubscription { process } => {
                self.lose_subscription(process).await;
                Said::default()
            }
            Step::Wait { milliseconds } => {
                self.hand.wait(Duration::from_millis(milliseconds)).await;
                Said::default()
            }
            Step::Again => unreachable!("it stands for the step before"),
        }
    }

    async fn holder(&self, process: usize, key: &Text) -> Text {
        let holder = self.processes[process].read(key).await.unwrap();
        holder.map_or_else(|| "nobody".into(), |holder| holder.id.into())
    }

    /// A refusal is told by its code: the scripts' errors carry the server's wording.
    fn say<T>(&mut self, answer: Result<T>, say: impl FnOnce(&mut Self, T) -> Said) -> Said {
        match answer {
            Ok(answer) => say(self, answer),
            Err(Error::Redis { code, .. }) => Said { words: code, ..Said::default() },
            Err(error @ Error::Permits(_)) => Said { words: error.to_string(), ..Said::default() },
            Err(error) => panic!("{error}"),
        }
    }

    fn released(&mut self, released: Released) -> Said {
        let words = match released {
            Released::HandedOn(handed) => {
                let mut words = String::from("handed on");
                for Handed { id, token } in handed {
                    words = format!("{words} {}", self.tokens.name(&id, token));
                }
                words
            }
            other => format!("{other:?}"),
        };
        Said { words, ..Said::default() }
    }

    fn holder_read(&mut self, holder: Option<Holder>) -> Said {
        let Some(holder) = holder else { return Said::default() };
        let left = holder.left;
        Said { words: self.holder_in_words(holder), left, told: Vec::new() }
    }

    fn holder_in_words(&mut self, holder: Holder) -> String {
        let Holder { id, owner, token, sharing, .. } = holder;
        let name = token.map(|token| self.tokens.name(&Text::from(id.as_str()), token));
        format!("{id} {owner:?} {name:?} {sharing:?}")
    }

    fn listed(&mut self, listings: Vec<Listing>) -> Said {
        let mut words = String::new();
        for Listing { key, holders, waiters } in listings {
            words += &key;
            for holder in holders {
                words = format!("{words} {}", self.holder_in_words(holder));
            }
            for Queued { id, owner, sharing, .. } in waiters {
                words = format!("{words}, {id} {owner:?} {sharing:?}");
            }
        }
        Said { words, ..Said::default() }
    }

    fn view(&mut self, place: &str, View { held, left, at: _ }: View) -> Said {
        let held = match held {
            Held::Ours(Handed { id, token }) => self.tokens.name(&id, token),
            other => format!("{other:?}"),
        };
        Said { words: format!("{place}: {held}"), left, told: Vec::new() }
    }

    /// What each process was told since it was asked last.
    async fn told(&mut self) -> Vec<Vec<String>> {
        let told = self.hand.told(&mut self.listening).await;
        let mut words = |message| match message {
            Message::Granted(key, Handed { id, token }, _) => {
                format!("granted {key} {}", self.tokens.name(&id, token))
            }
            Message::Look(key) => format!("look {key}"),
            Message::Named(..) | Message::Missed => "something only a Cluster tells".into(),
            Message::Lost(Handed { id, token }) => format!("lost {}", self.tokens.name(&id, token)),
        };
        told.into_iter().map(|heard| heard.into_iter().map(&mut words).collect()).collect()
    }
}
