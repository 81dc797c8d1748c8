//! The steps of a process, as they go over the network.

use std::time::Duration;

use dist_lock::backend::{
    Acquired, AcquiredAll, Beat, Handed, Held, Listing, Messages, Mode, Released, Sharing, Text,
    Token, View, Waiter,
};
use dist_lock::{Backend, Cause, Error, Holder, Result};
use futures_util::FutureExt;
use tokio::time::sleep;

use super::{Fact, Lie, Process};

/// Memory answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("memory answers at once")
}

fn seen(view: &View) -> Vec<(Text, Token)> {
    match &view.held {
        Held::Ours(Handed { id, token }) => vec![(id.clone(), *token)],
        _ => Vec::new(),
    }
}

fn released(released: &Result<Released>) -> Fact {
    let tokens = match released {
        Ok(Released::HandedOn(handed)) => {
            handed.iter().map(|Handed { id, token }| (id.clone(), *token)).collect()
        }
        _ => Vec::new(),
    };
    let done = matches!(released, Ok(Released::Yes | Released::HandedOn(_)));
    Fact { tokens, done, queued: false }
}

impl Backend for Process {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let has_queue = self.network.has_queue;
        let wait = wait && has_queue;
        let (k, mut w) = (key.clone(), waiter.clone());
        if self.lies(Lie::OnePermitMore)
            && let Sharing::Permits(permits) = waiter.sharing
        {
            w.sharing = Sharing::of(permits.get() + 1);
        }
        let holds = self.lies(Lie::EverybodyHolds);
        let still = self.lies(Lie::TokensStandStill);
        self.ask("acquire", key, Some((&waiter.id, &waiter.owner)), wait, move |client| {
            let mut answer = now(client.acquire(&k, &w, wait));
            match &mut answer {
                Ok(Acquired::Held(Some(token))) if still => *token = 1,
                Ok(other @ (Acquired::Taken | Acquired::Waits(..))) if holds => {
                    *other = Acquired::Held(Some(u64::MAX));
                }
                _ => {}
            }
            if !has_queue && let Ok(answer) = &mut answer {
                *answer = match answer {
                    Acquired::Held(_) => Acquired::Held(None),
                    _ => Acquired::NoQueue,
                };
            }
            let mut fact = Fact::default();
            match &answer {
                Ok(Acquired::Held(Some(token))) => fact.tokens.push((w.id.clone(), *token)),
                Ok(Acquired::Waits(view, _)) => {
                    fact.tokens = seen(view);
                    fact.queued = wait;
                }
                _ => {}
            }
            (answer, fact)
        })
        .await
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        let (k, mut i) = (key.clone(), id.clone());
        let anybody = self.lies(Lie::AnybodyReleases);
        self.ask("release", key, Some((id, &"".into())), false, move |client| {
            if anybody && let Ok(Some(holder)) = now(client.read(&k)) {
                i = holder.id.into();
            }
            let answer = now(client.release(&k, &i));
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        let (k, i) = (key.clone(), id.clone());
        let nothing = self.lies(Lie::ExtendsDoNothing);
        self.ask("extend", key, Some((id, &"".into())), false, move |client| {
            let answer = match nothing {
                true => Ok(Released::Yes),
                false => now(client.extend(&k, &i, milliseconds)),
            };
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        let (k, w) = (key.clone(), waiter.clone());
        let nothing = self.lies(Lie::AbandonsDoNothing);
        self.ask("abandon", key, Some((&waiter.id, &waiter.owner)), false, move |client| {
            let answer = match nothing {
                true => Ok(Released::No),
                false => now(client.abandon(&k, &w)),
            };
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        if self.lies(Lie::BeatsAreSwallowed) {
            return std::future::pending().await;
        }
        let (k, w) = (key.clone(), first.clone());
        let loses = self.lies(Lie::BeatsLoseThePlace);
        self.ask("beat", key, Some((&first.id, &first.owner)), false, move |client| {
            if loses {
                let _ = now(client.abandon(&k, &w));
            }
            let answer = now(client.beat(&k, &w, delay));
            let mut fact = Fact::default();
            if let Ok(Beat::Known(view) | Beat::Lost(view)) = &answer {
                fact.tokens = seen(view);
            }
            fact.done = matches!(answer, Ok(Beat::Known(_)));
            (answer, fact)
        })
        .await
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        let k = key.clone();
        self.ask("read", key, None, false, move |client| (now(client.read(&k)), Fact::default()))
            .await
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        let (k, w) = (key.clone(), waiter.clone());
        self.ask("steal", key, Some((&waiter.id, &waiter.owner)), false, move |client| {
            let answer = now(client.steal(&k, &w));
            let mut fact = Fact::default();
            if let Ok(Acquired::Held(Some(token))) = &answer {
                fact.tokens.push((w.id.clone(), *token));
            }
            (answer, fact)
        })
        .await
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        self.client.acquire_all(wanted).await
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        let k = key.clone();
        self.ask("force", key, None, false, move |client| {
            let answer = now(client.force(&k));
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        self.client.names(prefix).await
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        self.client.list(keys).await
    }

    fn process(&self) -> &Text {
        self.client.process()
    }

    async fn subscribe(&self) -> Result<Messages> {
        self.stalled().await;
        if self.is_dead() {
            return std::future::pending().await;
        }
        let weather = self.network.weather();
        let delay = self.network.chance(|chance| chance.up_to(2 * weather.delay));
        sleep(delay).await;
        if self.network.is_out() {
            return Err(Error::Unreachable(Cause::new("refused")));
        }
        Ok(self.listen(now(self.client.subscribe())?))
    }

    async fn mode(&self) -> Result<Mode> {
        Ok(Mode::Queue)
    }

    fn is_connected(&self) -> bool {
        !self.network.is_out()
    }
}
