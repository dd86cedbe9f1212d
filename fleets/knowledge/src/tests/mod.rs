//! Tests over small machines whose cores are made up.

mod arbiter;
mod facts;
mod property;

use crate::facts::Facts;
use fos_messages::knowledge::{Fact, Place};
use std::vec::Vec;

/// A core of the first machine.
fn at(core: u16) -> Place {
    Place { machine: 0, core }
}

/// Packages of so many cores each, each with a node of its own.
fn packages(packages: u16, cores: u16) -> Facts {
    let mut facts = Facts::default();
    let core = |number: u16| Fact::Core {
        at: at(number),
        package: number / cores,
        physical: number % cores,
        node: number / cores,
        is_reserved: false,
    };
    let all: Vec<Fact> = (0..packages * cores).map(core).collect();
    facts.learn(&all).unwrap();
    facts
}
