//! Each rule of the table by itself, and the table after any changes whatever against what must always hold.

mod any;
mod rules;

use crate::limits::Limits;
use crate::record::Ticket;
use crate::table::{Asker, Change, Done, Outcome, Table};
use fos_messages::processes::{Exit, Grouping, Pid, Place, SpawnOrder, Waited, Whom};
use fos_messages::rpc::Address;

const LIMITS: Limits = Limits { processes_max: 12, children_max: 4, cores: 3, keepers_min: 1 };

/// A table with one process that was enrolled: 2, of identity 100.
fn table() -> Table {
    table_within(LIMITS)
}

/// The same with other bounds.
fn table_within(limits: Limits) -> Table {
    let mut table = Table::new(limits);
    let enrolled = table.make(&Change::Enroll { identity: 100, own: Address::default() });
    assert_eq!(enrolled, Ok(Done::Process(Pid(2))));
    table
}

fn order(place: Place, group: Grouping) -> SpawnOrder {
    SpawnOrder { place, group, ..SpawnOrder::of("a", &["b"]) }
}

fn spawn(table: &mut Table, identity: u64, number: u64) -> Outcome {
    let plain = order(Place::Anywhere, Grouping::Parents);
    table.make(&Change::Spawn(Asker { identity, number }, plain))
}

/// Spawns one that runs: its number and ticket. Its identity is 1000 and its ticket.
fn child(table: &mut Table, identity: u64, number: u64) -> (Pid, Ticket) {
    let Ok(Done::Made(pid, ticket)) = spawn(table, identity, number) else { panic!("it may not spawn") };
    assert_eq!(table.make(&Change::Started(ticket, 1000 + ticket.0)), Ok(Done::Plain));
    (pid, ticket)
}

fn end(table: &mut Table, ticket: Ticket, status: u8) {
    assert_eq!(table.make(&Change::Ended(ticket, Exit::Status(status).into())), Ok(Done::Plain));
}

fn wait(table: &mut Table, identity: u64, number: u64, whom: Whom) -> Outcome {
    table.make(&Change::Wait(Asker { identity, number }, whom))
}

fn ended(pid: Pid, status: u8) -> Outcome {
    Ok(Done::Waited(Waited::Ended(pid, Exit::Status(status).into())))
}
