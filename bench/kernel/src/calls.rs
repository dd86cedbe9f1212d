//! A call of two scalars and its answer between two runtimes, over a link and by mailbox: stubs, codec, dispatch, tasks and
//! both ports as every server has them. Both sides run in one thread and take their steps in turn, so that no step without
//! work is counted: the client takes the last answer, asks again, and the server answers.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use core::cell::Cell;
use core::time::Duration;

use fos_abi::Error;
use fos_messages::echo::{Echo, EchoClient, EchoDispatcher, Overflow, Refusal};
use fos_messages::names::{Found, NamesInterface, Path};
use fos_messages::rpc::{
    Address, AnswerBody, Context, Instead, Interface, Never, Outgoing, SendError, Serve, Served, wire,
};
use libfos::Start;
use libfos::measure;
use libfos::port::thresholds::Thresholds;
use libfos::runtime::port::{Class, Port};
use libfos::runtime::{Names, Priority, Step};
use libfos::server::Server;

use crate::ground::{Broken, During, Ground};
use crate::sample::{counted, print_count};

/// Longer than everything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Calls after which there must be a link.
const CALLS_BEFORE_LINK: u32 = 1000;

/// Answers at once.
struct Adder;

impl Echo for Adder {
    fn sum(&self, _: Context, left: u64, right: u64) -> Result<u64, Instead<Overflow>> {
        Ok(left.checked_add(right).ok_or(Overflow)?)
    }
    async fn echo(&self, _: Context, text: String) -> Result<String, Instead<Never>> {
        Ok(text)
    }
    fn note(&self, _: Context, _: u64) {}
    async fn refuse(&self, _: Context, _: String) -> Result<(), Instead<Refusal>> {
        Ok(())
    }
    fn noted(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(0)
    }
}

/// A member of naming that answers every look-up with this address.
struct OneName(Address);

impl Serve for OneName {
    fn speaks(&self) -> (u16, u8) {
        (NamesInterface::ID, NamesInterface::VERSION)
    }
    fn serve(self: Rc<Self>, _: u16, _: Context, _: &[u8], mut room: Outgoing) -> Served {
        let version = 1_u64;
        match wire::write(&(Found::Ask(self.0), version), room.end()) {
            Ok(()) => Served::Answer(AnswerBody::Done(room)),
            Err(_) => Served::Unknown,
        }
    }
}

/// Two runtimes of one thread.
struct Pair {
    client: Server,
    server: Server,
    /// Calls that were answered rightly.
    answered: Rc<Cell<u64>>,
    /// The client makes no further call.
    is_over: Rc<Cell<bool>>,
}

/// Counts them.
pub fn measure(ground: &mut Ground, start: &Start) -> Result<(), Broken> {
    let linked = Pair::create(ground, start, Thresholds::MACHINE)?;
    linked.wait_for_link().during("making a link")?;
    let call = counted(|| linked.call(true));
    print_count(
        "rpc_two_scalars",
        call.during("calling over a link")?,
        "a call of two scalars and its answer over a link, stubs, codec, dispatch and tasks of both sides",
    );
    linked.name_sends().during("sending by name")?;
    let unlinked = Pair::create(ground, start, Thresholds { sends: u32::MAX, ..Thresholds::MACHINE })?;
    while let Step::Did(_) = unlinked.client.step() {}
    while let Step::Did(_) = unlinked.server.step() {}
    let call = counted(|| unlinked.call(false));
    print_count(
        "rpc_two_scalars_by_mailbox",
        call.during("calling by mailbox")?,
        "as rpc_two_scalars, through the kernel both ways",
    );
    Ok(())
}

impl Pair {
    fn create(ground: &mut Ground, start: &Start, thresholds: Thresholds) -> Result<Pair, Broken> {
        let mut create =
            || Server::with_thresholds(&mut ground.memory, start, thresholds).during("making a server");
        let (client, server) = (create()?, create()?);
        server.runtime.serve(Class::External, EchoDispatcher::new(Rc::new(Adder)));
        let answered = Rc::new(Cell::new(0));
        let to = server.port.address(Class::External);
        let echo = EchoClient::new(client.runtime.within(PATIENCE), to);
        let is_over = Rc::new(Cell::new(false));
        let (count, over) = (answered.clone(), is_over.clone());
        client.runtime.spawn(Priority::Normal, async move {
            while let Ok(3) = echo.sum(1, 2).await {
                count.set(count.get() + 1);
                if over.get() {
                    return;
                }
            }
        });
        Ok(Pair { client, server, answered, is_over })
    }

    /// Calls until messages go over a link. What is said about links are steps of their own.
    fn wait_for_link(&self) -> Result<(), Error> {
        let to = self.server.port.address(Class::External);
        for _ in 0..CALLS_BEFORE_LINK {
            while let Step::Did(_) = self.client.step() {}
            while let Step::Did(_) = self.server.step() {}
            if self.client.port.has_way_back(&to) {
                return Ok(());
            }
        }
        Err(Error::TimedOut)
    }

    /// Counts what a send to a name costs more than one to an address, once the name is known.
    fn name_sends(&self) -> Result<(), Error> {
        self.is_over.set(true);
        self.settle();
        let to = self.server.port.address(Class::External);
        self.server.runtime.serve(Class::External, Rc::new(OneName(to)));
        let names = Names::new(self.client.runtime.clone(), vec![to], (0, 0));
        let (by_address, by_name) = (self.client.runtime.within(PATIENCE), names.at(Path::root(), PATIENCE));
        let named = EchoClient::new(by_name, Address::default());
        let first = named.clone();
        self.client.runtime.spawn(Priority::Normal, async move { _ = first.noted().await });
        self.settle();
        let plain = EchoClient::new(by_address, to);
        let plain = counted(|| self.post(|| plain.note(7)))?;
        let named = counted(|| self.post(|| named.note(7)))?;
        print_count(
            "name_send_cached_extra",
            named.less(plain.median),
            "a send over a link to a name that is known, less one to its address",
        );
        Ok(())
    }

    /// Ticks of a send that wants no answer. The other side takes it.
    fn post(&self, send: impl FnOnce() -> Result<(), SendError>) -> Result<u64, Error> {
        let (ticks, sent) = measure::count(send);
        self.settle();
        sent.map(|()| ticks).map_err(|_| Error::Full)
    }

    /// Until both sides have nothing to do.
    fn settle(&self) {
        let steps = || [&self.client, &self.server].map(|side| matches!(side.step(), Step::Did(_)));
        while steps().contains(&true) {}
    }

    /// Ticks of a call, each of which leaves its answer for the next to take. An error if it did not go the way it should.
    fn call(&self, over_link: bool) -> Result<u64, Error> {
        let before = self.answered.get();
        let (ticks, did) = measure::count(|| {
            let answer = self.client.step();
            let request = self.server.step();
            [answer, request]
        });
        let is_one = did.iter().all(|step| matches!(step, Step::Did(_))) && self.answered.get() == before + 1;
        let is_linked = self.client.port.has_way_back(&self.server.port.address(Class::External));
        if is_one && is_linked == over_link { Ok(ticks) } else { Err(Error::BadArgument) }
    }
}
