//! Notes what each step did to a key, its holders and its queue.

use tokio::time::Instant;

use dist_lock::backend::{Sharing, Text, Token};

use super::{FORGOTTEN, Fact, Seen, Step};

impl Seen {
    pub(super) fn breaks(&mut self, promise: &str, words: String) {
        let at = self.began.map(|began| began.elapsed()).unwrap_or_default();
        self.report.broken.push(format!("[{at:?}] {promise}: {words}"));
    }

    /// Prints what happens, if it is asked for.
    pub(super) fn trace(&self, words: impl FnOnce() -> String) {
        if self.traces {
            println!("[{:?}] {}", self.began.map(|began| began.elapsed()), words());
        }
    }

    pub(super) fn is_undisturbed(&self, process: usize, since: Instant) -> bool {
        self.lockers.contains_key(&process)
            && self.disturbed.get(&process).is_none_or(|until| *until < since)
    }

    /// 4: each new hold's token is larger, and 5: a hold that is asked for again keeps its own.
    pub(super) fn note_tokens(&mut self, key: &Text, mut tokens: Vec<(Text, Token)>) {
        // Those that were granted in one step are told in several ways.
        tokens.sort_by_key(|(_, token)| *token);
        for (id, token) in &tokens {
            let entry = self.keys.entry(key.clone()).or_default();
            let last = entry.last_token;
            let is_known = self.tokens.get(id) == Some(token);
            let is_held = entry.holders.contains(id);
            if !is_known && (*token <= last || is_held && self.tokens.contains_key(id)) {
                let words = format!("{id} has {token} after {last}, {:?}", self.tokens.get(id));
                self.breaks("4: tokens grow", words);
            }
            if !is_known {
                self.keys.entry(key.clone()).or_default().last_token = *token;
                self.tokens.insert(id.clone(), *token);
            }
        }
    }

    pub(super) fn note_step(&mut self, step: &Step, fact: &Fact, holders: &[(Text, Text)]) {
        let key = self.keys.entry(step.key.clone()).or_default();
        let before = key.holders.clone();
        let has_it = |id: &Text| holders.iter().any(|(holder, _)| holder == id);
        match step.name {
            "acquire" if fact.queued => {
                if let Some(call) = self.by_owner.get(&step.owner)
                    && key.queue.iter().all(|(id, ..)| *id != step.id)
                    && !has_it(&step.id)
                {
                    key.queue.push((step.id.clone(), *call, Instant::now()));
                }
            }
            "abandon" => key.queue.retain(|(id, ..)| *id != step.id),
            "release" | "extend"
                if !before.is_empty()
                    && !before.contains(&step.id)
                    && (fact.done || !before.iter().all(has_it)) =>
            {
                let words = format!("{step:?} when {before:?} had it, now {holders:?}");
                self.breaks("3: only one's own", words);
            }
            "steal" | "force" => {
                for id in before.iter().filter(|id| !has_it(id)) {
                    self.stolen.insert(id.clone(), Instant::now());
                    if let Some(call) = self.granted.get(id) {
                        self.calls[*call].granted = None;
                    }
                    if let Some(handle) = self.handles.get_mut(id) {
                        handle.stolen = Some(Instant::now());
                    }
                }
            }
            _ => {}
        }
        if step.name == "extend"
            && let Some(handle) = self.handles.get(&step.id)
            && handle.dropped.is_some_and(|dropped| step.asked > dropped)
        {
            self.breaks("13: renewal stops", format!("{step:?}"));
        }
    }

    /// With whom whoever has this owner's text would hold a lock.
    fn sharing(&self, owner: &Text) -> Sharing {
        let call = self.by_owner.get(owner).map(|number| &self.calls[*number]);
        call.map_or(Sharing::Exclusive, |call| call.sharing)
    }

    /// `stolen`: who has it now has taken it before its turn.
    pub(super) fn note_holders(&mut self, name: &Text, holders: Vec<(Text, Text)>, stolen: bool) {
        let now = Instant::now();
        if !self.keys.contains_key(name) {
            return;
        }
        self.check_company(name, &holders);
        let Some(key) = self.keys.get_mut(name) else { return };
        let ids: Vec<Text> = holders.iter().map(|(id, _)| id.clone()).collect();
        let before = std::mem::replace(&mut key.holders, ids);
        let mut overtaken = Vec::new();
        for (id, _) in holders.iter().filter(|(id, _)| !before.contains(id)) {
            self.report.grants += 1;
            let place = key.queue.iter().position(|(waiting, ..)| waiting == id);
            let version_2 = id.starts_with("old");
            if let Some(place) = place {
                let (_, call, _) = key.queue[place];
                self.calls[call].granted = Some(now);
                self.granted.insert(id.clone(), call);
                self.report.hand_offs += 1;
                self.report.shares += usize::from(self.calls[call].sharing != Sharing::Exclusive);
            }
            if !version_2 && !stolen {
                let earlier = &key.queue[..place.unwrap_or(key.queue.len())];
                overtaken.extend(earlier.iter().cloned().map(|waiting| (id.clone(), waiting)));
            }
            key.queue.retain(|(waiting, ..)| waiting != id);
        }
        for (holder, (id, call, since)) in overtaken {
            if self.is_undisturbed(self.calls[call].process, self.calls[call].began) {
                let words = format!("{holder:?} came before {id}, waiting since {since:?}");
                self.breaks("11: order of arrival", words);
            }
        }
        self.check_idle(name, &holders);
    }

    /// 1: who holds a key does so with as many as it asked for.
    fn check_company(&mut self, name: &Text, holders: &[(Text, Text)]) {
        let asked: Vec<Sharing> = holders.iter().map(|(_, owner)| self.sharing(owner)).collect();
        let fits = |sharing: &Sharing| match sharing.capacity() {
            None => asked.len() == 1,
            Some(0) => true,
            Some(permits) => asked.len() <= permits as usize,
        };
        if !asked.iter().all(|sharing| fits(sharing) && *sharing == asked[0]) {
            self.breaks(
                "1: so many hold it as asked for",
                format!("{name}: {holders:?} {asked:?}"),
            );
        }
    }

    /// 8, 9: a free lock reaches a live waiter within a beat, and so does a free share the first who waits.
    fn check_idle(&mut self, name: &Text, holders: &[(Text, Text)]) {
        let now = Instant::now();
        let Some(key) = self.keys.get(name) else { return };
        let (met_version_2, waiting) = (key.met_version_2, key.queue.clone());
        let could_have_it = |(_, call, since): &&(Text, usize, Instant)| {
            let call = &self.calls[*call];
            call.ended.is_none() && *since < now && self.is_undisturbed(call.process, call.began)
        };
        let is_idle = match holders.first() {
            None => waiting.iter().any(|waiter| could_have_it(&waiter)),
            Some((_, owner)) => {
                let is_gone = |process: usize| {
                    self.dead.get(&process).is_some_and(|died| now - *died > FORGOTTEN)
                };
                let first = waiting.iter().find(|(_, call, _)| !is_gone(self.calls[*call].process));
                first.filter(could_have_it).is_some_and(|(_, call, _)| {
                    let asked = self.calls[*call].sharing;
                    let has_room = match asked.capacity() {
                        None => false,
                        Some(0) => true,
                        Some(permits) => holders.len() < permits as usize,
                    };
                    has_room && asked == self.sharing(owner)
                })
            }
        };
        let bound = if met_version_2 { 2 * self.beat } else { self.beat };
        let Some(key) = self.keys.get_mut(name) else { return };
        if !is_idle {
            key.idle = None;
        } else if now - *key.idle.get_or_insert(now) > bound {
            key.idle = None;
            let words = format!("{name}: {waiting:?}, held by {holders:?}");
            self.breaks("8, 9: a free lock is handed on", words);
        }
    }
}
