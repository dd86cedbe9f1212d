//! What the system is and does, from whom it may be asked: cores of the kernel and of `knowledge`, fleets of naming, memory of
//! `pages`, processes of their fleet. What does not answer is said to, and the rest is told.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_messages::knowledge::{self, CoreView, KnowledgeClient, Place};
use fos_messages::names::{LoadFigure, Path};
use fos_messages::pages::{self, PagesClient};
use fos_messages::rpc::Address;
use fos_shell::status::DONE;
use fos_shell::table;
use libfos::calls::core_read;
use libfos::println;

use crate::doing::{Shell, failed};
use libfos::founder::PATIENCE;

/// KiB in a frame.
const FRAME_KIB: u64 = 4;

impl Shell {
    pub async fn stats(&self) -> u8 {
        let told = [self.cores().await, self.members().await, self.memory().await, self.counts().await];
        let failures = told.into_iter().filter_map(Result::err);
        failures.fold(DONE, |_, reason| failed("stats", reason))
    }

    async fn cores(&self) -> Result<(), String> {
        let views = self.views().await;
        let mut rows = Vec::new();
        for core in 0.. {
            let Ok(info) = core_read(core) else { break };
            let state = match info.state {
                0 => "never started",
                1 => "running",
                2 => "idle",
                _ => "failed",
            };
            let busy = views.as_ref().ok().and_then(|views| {
                views.iter().find(|view| u64::from(view.at.core) == core).map(|view| view.busy_permille)
            });
            let busy = busy.map_or("-".to_string(), |permille| format!("{}%", permille / 10));
            let numbers =
                [info.threads, info.spaces, info.switches, info.kicks].map(|number| number.to_string());
            let [threads, spaces, switches, kicks] = numbers;
            rows.push([core.to_string(), state.to_string(), busy, threads, spaces, switches, kicks]);
        }
        let names = ["CORE", "STATE", "BUSY", "THREADS", "SPACES", "SWITCHES", "INTERRUPTS"];
        table::lines(names, &rows).iter().for_each(|line| println!("{line}"));
        println!("");
        views.map(|_| ())
    }

    /// How `knowledge` sees the cores.
    async fn views(&self) -> Result<Vec<CoreView>, String> {
        let path = Path::new(knowledge::NAME).map_err(|error| error.to_string())?;
        let knowledge = KnowledgeClient::new(self.names.at(path, PATIENCE), Address::default());
        let mut views: Vec<CoreView> = Vec::new();
        loop {
            let core = views.last().map_or(0, |last| last.at.core + 1);
            let more = knowledge.cores(Place { machine: 0, core }).await;
            let more =
                more.map_err(|error| format!("{} does not tell of cores: {error}", knowledge::NAME))?;
            if more.is_empty() {
                return Ok(views);
            }
            views.extend(more);
        }
    }

    async fn members(&self) -> Result<(), String> {
        let (mut rows, mut failure) = (Vec::new(), None);
        for fleet in &self.fleets {
            let members = match self.names.describe(&fleet.name).await {
                Ok(description) => description.members,
                Err(error) => {
                    failure.get_or_insert(format!("naming does not tell of {}: {error}", fleet.name));
                    continue;
                }
            };
            let mut cores: Vec<u16> = members.iter().map(|(entry, _)| entry.core).collect();
            cores.sort_unstable();
            let cores: Vec<String> = cores.iter().map(u16::to_string).collect();
            let wait = |load: &LoadFigure| u64::from(load.requests) * u64::from(load.service_nanoseconds);
            let wait = members.iter().map(|(_, load)| wait(load) / 1000).max().unwrap_or(0);
            rows.push([fleet.name.to_string(), members.len().to_string(), cores.join(" "), wait.to_string()]);
        }
        let names = ["FLEET", "MEMBERS", "CORES", "WAIT_US"];
        table::lines(names, &rows).iter().for_each(|line| println!("{line}"));
        println!("");
        failure.map_or(Ok(()), Err)
    }

    async fn memory(&self) -> Result<(), String> {
        let path = Path::new(pages::NAME).map_err(|error| error.to_string())?;
        let pages = PagesClient::new(self.names.at(path, PATIENCE), Address::default());
        let statistics = pages.statistics().await;
        let statistics =
            statistics.map_err(|error| format!("{} does not tell of memory: {error}", pages::NAME))?;
        let (all, free) = (statistics.frames * FRAME_KIB, statistics.free * FRAME_KIB);
        println!("memory     {all} KiB in {}, {free} KiB free", pages::NAME);
        Ok(())
    }

    async fn counts(&self) -> Result<(), String> {
        let counts = self.processes.statistics().await;
        let counts =
            counts.map_err(|error| format!("the fleet of processes does not count them: {error}"))?;
        println!(
            "processes  {} of which {} have ended; {} spawned and {} ended since the fleet began, {} refused",
            counts.processes, counts.zombies, counts.spawned, counts.ended, counts.refused
        );
        Ok(())
    }
}
