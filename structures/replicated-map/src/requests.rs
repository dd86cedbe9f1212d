//! What is remembered of clients' requests, so that a repeated one is answered as before and done at most once. Part
//! of the replicated state: a client may repeat its request at any member.

use crate::{Identity, Limits, Outcome, Request, Version};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What is remembered of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Memory {
    /// The highest request that was forgotten to make room; none at or below it is done any more.
    pub forgotten: Option<Request>,
    /// Requests, when each was first done, and what came of it.
    pub done: Vec<(Request, Version, Outcome)>,
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    New,
    Done(Version, Outcome),
    Forgotten,
}

/// What is remembered of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    pub clients: BTreeMap<Identity, Memory>,
}

impl Requests {
    pub fn look(&self, client: Identity, request: Request) -> Known {
        let Some(memory) = self.clients.get(&client) else { return Known::New };
        match memory.done.iter().find(|done| done.0 == request) {
            Some((_, version, outcome)) => Known::Done(*version, *outcome),
            None if memory.forgotten.is_some_and(|highest| request <= highest) => Known::Forgotten,
            None => Known::New,
        }
    }

    /// Whether there is room to remember `client`.
    pub fn has_room(&self, client: Identity, limits: &Limits) -> bool {
        self.clients.contains_key(&client) || self.clients.len() < limits.clients_max
    }

    /// Remembers a new request; the lowest of the client's goes when there are too many.
    pub fn remember(&mut self, client: Identity, done: (Request, Version, Outcome), limits: &Limits) {
        let fresh = || Memory { forgotten: None, done: Vec::new() };
        let memory = self.clients.entry(client).or_insert_with(fresh);
        memory.done.push(done);
        if memory.done.len() > limits.requests_kept {
            let lowest = (0..memory.done.len()).min_by_key(|&index| memory.done[index].0).unwrap_or(0);
            let (request, ..) = memory.done.remove(lowest);
            memory.forgotten = memory.forgotten.max(Some(request));
        }
    }
}
