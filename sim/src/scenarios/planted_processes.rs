//! Fleets `processes` with an error, each of which a run must find.

use super::Scenario;
use super::processes::{Dress, SCENARIO, begin_with};
use fos_messages::processes::{
    Elsewhere, Ended, Exit, Pid, ProcessError, ProcessPeers, ProcessPeersDispatcher, Progress, SpawnOrder,
};
use fos_messages::rpc::{CallError, Context, Instead, Never};
use fos_messages::tickets::Survey;
use fos_processes::record::Ticket;
use fos_processes::starter::{Deed, Starter};
use fos_runtime::fleet::Coming;
use fos_runtime::port::Class;
use std::cell::Cell;
use std::rc::Rc;

/// A process is started under another ticket than its own.
pub const STARTS_STRANGERS: Scenario = Scenario {
    begin: |world, messages| {
        let starter = |starter| Rc::new(Wrong { starter, what: What::Ticket }) as Rc<dyn Starter>;
        begin_with(world, messages, Dress { starter, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// Ends are told as others than they were.
pub const TELLS_OTHER_ENDS: Scenario = Scenario {
    begin: |world, messages| {
        let starter = |starter| Rc::new(Wrong { starter, what: What::Exit }) as Rc<dyn Starter>;
        begin_with(world, messages, Dress { starter, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// Ends are never forgotten by who told of them.
pub const FORGETS_NOTHING: Scenario = Scenario {
    begin: |world, messages| {
        let starter = |starter| Rc::new(Wrong { starter, what: What::Memory }) as Rc<dyn Starter>;
        begin_with(world, messages, Dress { starter, ..Dress::HONEST })
    },
    ..SCENARIO
};

/// Members say that they keep what they are told, and do not.
pub const KEEPS_NOTHING: Scenario = Scenario {
    begin: |world, messages| {
        let when_it_serves = |runtime: &fos_runtime::Runtime| {
            let peers = ProcessPeersDispatcher::new(Rc::new(Forgets { made: Cell::new(0) }));
            runtime.serve(Class::Internal, peers);
        };
        begin_with(world, messages, Dress { when_it_serves, ..Dress::HONEST })
    },
    ..SCENARIO
};

enum What {
    Ticket,
    Exit,
    Memory,
}

struct Wrong {
    starter: Rc<dyn Starter>,
    what: What,
}

impl Starter for Wrong {
    fn start(
        &self,
        ticket: Ticket,
        order: SpawnOrder,
        core: u16,
    ) -> Coming<'_, Result<u64, CallError<ProcessError>>> {
        let other = Ticket(ticket.0 + 1_000_000);
        self.starter.start(if matches!(self.what, What::Ticket) { other } else { ticket }, order, core)
    }
    fn act(&self, ticket: Ticket, deed: Deed) -> Coming<'_, Result<(), CallError<ProcessError>>> {
        self.starter.act(ticket, deed)
    }
    fn outlive(&self, ticket: Ticket) -> Coming<'_, Result<Ended, CallError<ProcessError>>> {
        Box::pin(async move {
            let ended = self.starter.outlive(ticket).await?;
            Ok(if matches!(self.what, What::Exit) { Exit::Unknown.into() } else { ended })
        })
    }
    fn known(&self) -> Coming<'_, Result<Survey, CallError<ProcessError>>> {
        self.starter.known()
    }
    fn forget(&self, ticket: Ticket) -> Coming<'_, Result<(), CallError<ProcessError>>> {
        if matches!(self.what, What::Memory) {
            return Box::pin(async { Ok(()) });
        }
        self.starter.forget(ticket)
    }
}

struct Forgets {
    made: Cell<u64>,
}

impl ProcessPeers for Forgets {
    fn progress(&self, _: Context) -> Result<Progress, Instead<Never>> {
        Ok(Progress { has_table: true, made: self.made.get(), is_told: false })
    }
    fn tell(&self, _: Context, after: u64, _: Vec<u8>) -> Result<(), Instead<Elsewhere>> {
        self.made.set(after);
        Ok(())
    }
    fn settle(&self, _: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        self.made.set(made);
        Ok(())
    }
    fn told(&self, _: Context, made: u64) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    async fn catch_up(&self, _: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        self.made.set(made);
        Ok(())
    }
    fn piece(&self, _: Context, made: u64, _: Pid) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    async fn change(&self, _: Context, _: Vec<u8>) -> Result<Vec<u8>, Instead<Never>> {
        Err(Instead::NotNow)
    }
}
