//! One question to all members, whose answers come one by one.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::member::{Member, in_background};
use crate::backend::Backend;
use crate::error::Result;

/// One question to all members. Dropping it forgets those that have not answered.
pub struct Round<B: Backend, T> {
    members: Arc<[Arc<Member<B>>]>,
    /// Those that have not answered.
    asked: Vec<(usize, Step<T>)>,
    /// Answers that nobody has looked at.
    answers: VecDeque<(usize, Result<T>)>,
    /// How many of those that have not answered were counted as failed, since the time is over.
    given_up: usize,
    limit: Duration,
    node_timeout: Duration,
    started: Instant,
}

type Step<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl<B: Backend, T: Send + 'static> Round<B, T> {
    /// Asks `members` by carrying out `step` with each. An answer is waited for as long as `limit`; a
    /// member that takes longer than `node_timeout` is left alone for a while.
    pub fn new<F>(
        members: Arc<[Arc<Member<B>>]>,
        node_timeout: Duration,
        limit: Duration,
        step: impl Fn(Arc<Member<B>>) -> F,
    ) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let ask = |(number, member): (usize, &Arc<Member<B>>)| -> (usize, Step<T>) {
            (number, Box::pin(step(member.clone())))
        };
        let asked = members.iter().enumerate().map(ask).collect();
        let (answers, started) = (VecDeque::new(), Instant::now());
        Round { members, asked, answers, given_up: 0, limit, node_timeout, started }
    }

    /// The next answer and whose it is. When the time is over, those that have not answered have
    /// failed. `None`: there are no more.
    pub async fn next(&mut self) -> Option<(usize, Result<T>)> {
        let ends = self.started + self.limit;
        if self.given_up == 0
            && let Ok(answer) = timeout_at(ends, poll_fn(|context| self.poll(context))).await
        {
            return answer;
        }
        let (number, _) = self.asked.get(self.given_up)?;
        self.given_up += 1;
        let member = &self.members[*number];
        if self.limit >= self.node_timeout {
            member.is_silent(self.node_timeout);
        }
        Some((*number, Err(member.silence(self.limit))))
    }

    /// Whether the member may still answer.
    pub fn is_open(&self, number: usize) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == number)
    }

    /// The other answers are not waited for; they are told to `then` in the background.
    pub fn leave(mut self, then: impl Fn(&Arc<Member<B>>, Result<T>) + Send + 'static) {
        let members = self.members.clone();
        let tell = move |(number, answer): (usize, _)| then(&members[number], answer);
        if self.asked.is_empty() {
            return self.answers.into_iter().for_each(tell);
        }
        in_background(async move {
            let overdue = self.started + self.node_timeout;
            loop {
                match timeout_at(overdue, poll_fn(|context| self.poll(context))).await {
                    Ok(Some(answer)) => tell(answer),
                    Ok(None) => return,
                    Err(_) => break,
                }
            }
            for (number, _) in &self.asked {
                self.members[*number].is_silent(self.node_timeout);
            }
            while let Some(answer) = poll_fn(|context| self.poll(context)).await {
                tell(answer);
            }
        });
    }

    /// All are asked before any answer is looked at.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Result<T>)>> {
        let Round { asked, answers, .. } = self;
        asked.retain_mut(|(number, step)| match step.as_mut().poll(context) {
            Poll::Ready(answer) => {
                answers.push_back((*number, answer));
                false
            }
            Poll::Pending => true,
        });
        match answers.pop_front() {
            None if !asked.is_empty() => Poll::Pending,
            answer => Poll::Ready(answer),
        }
    }
}
