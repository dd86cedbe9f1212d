//! A server for every interface of the system, so that the dispatcher of each meets what the bad peers make up: those that
//! nobody in this scenario really serves are served here, by what answers as little as it may.

use fos_messages::echo::{Echo, EchoDispatcher, Overflow, Refusal};
use fos_messages::fleet::{
    Behind, Figure, Fleet, FleetDispatcher, FleetError, FleetPeers, FleetPeersDispatcher, Seat, Standing,
};
use fos_messages::names::{
    DirectoryKey, NameError, NamePeers, NamePeersDispatcher, NamesStarterDispatcher, Peer,
};
use fos_messages::programs::{self, Order, Programs, ProgramsDispatcher, Started};
use fos_messages::rpc::{Context, Instead, Never, Serve};
use fos_naming::starter::{Starter, StarterService};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use std::rc::Rc;

/// Serves them, to strangers: all but `Names`, which naming serves.
pub(super) fn serve(runtime: &Runtime) {
    servers().into_iter().for_each(|server| runtime.serve(Class::External, server));
}

fn servers() -> Vec<Rc<dyn Serve>> {
    let least = Rc::new(Least);
    vec![
        ProgramsDispatcher::new(least.clone()),
        EchoDispatcher::new(least.clone()),
        NamePeersDispatcher::new(least.clone()),
        FleetDispatcher::new(least.clone()),
        FleetPeersDispatcher::new(least),
        NamesStarterDispatcher::new(Rc::new(StarterService(Starter::new(super::ROOT_KEY)))),
    ]
}

/// Gives back what it is given, or refuses.
struct Least;

impl Echo for Least {
    fn sum(&self, _: Context, left: u64, right: u64) -> Result<u64, Instead<Overflow>> {
        Ok(left.checked_add(right).ok_or(Overflow)?)
    }
    async fn echo(&self, _: Context, text: String) -> Result<String, Instead<Never>> {
        Ok(text)
    }
    fn note(&self, _: Context, _: u64) {}
    async fn refuse(&self, _: Context, text: String) -> Result<(), Instead<Refusal>> {
        Err(Instead::Refused(Refusal::LongerThan(text.len() as u32)))
    }
    fn noted(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(0)
    }
}

impl Programs for Least {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<programs::Refusal>> {
        let Order { arguments, core, .. } = order;
        Ok(Started { number: arguments.len() as u64, identity: 0, core })
    }
    async fn end(&self, _: Context, number: u64) -> Result<u8, Instead<programs::Refusal>> {
        Ok(number as u8)
    }
    fn stop(&self, _: Context, _: u64) -> Result<(), Instead<programs::Refusal>> {
        Err(Instead::Refused(programs::Refusal::NotYours))
    }
}

impl NamePeers for Least {
    fn say(&self, _: Context, _: Vec<u8>) {}
    async fn introduce(&self, _: Context, peer: Peer) -> Result<Vec<Peer>, Instead<NameError>> {
        Ok(vec![peer])
    }
}

impl Fleet for Least {
    async fn join(&self, _: Context, _: Seat) -> Result<(), Instead<FleetError>> {
        Err(Instead::Refused(FleetError::NoRoster))
    }
    fn standing(&self, _: Context) -> Result<Standing, Instead<Never>> {
        Ok(Standing::default())
    }
    async fn relocate(&self, _: Context, _: DirectoryKey, _: u64, _: u16) -> Result<(), Instead<FleetError>> {
        Err(Instead::Refused(FleetError::BadKey))
    }
}

impl FleetPeers for Least {
    fn propose(&self, _: Context, epoch: u32, _: u16, _: u16, _: Vec<Seat>) -> Result<(), Instead<Behind>> {
        Err(Instead::Refused(Behind { promised: epoch }))
    }
    fn commit(&self, _: Context, epoch: u32) -> Result<(), Instead<Behind>> {
        Err(Instead::Refused(Behind { promised: epoch }))
    }
    async fn leave(&self, _: Context) -> Result<(), Instead<Never>> {
        Err(Instead::NotNow)
    }
    fn drain(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn report(&self, _: Context, _: Figure) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_messages::interfaces;
    use fos_messages::names::NamesInterface;
    use fos_messages::rpc::Interface;

    /// A new interface needs a server here, so that its dispatcher is attacked too.
    #[test]
    fn no_interface_is_left_out() {
        let mut served: Vec<u16> = servers().iter().map(|server| server.speaks().0).collect();
        served.push(NamesInterface::ID);
        served.sort_unstable();
        let all: Vec<u16> = interfaces::ALL.iter().map(|interface| interface.id).collect();
        assert_eq!(served, all);
    }
}
