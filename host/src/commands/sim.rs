//! `fos sim`: runs scenarios of the simulator, many seeds of them, one again, or a figure.

use super::Session;
use crate::cli::{SimCommand, SimRunArguments, SimShape};
use crate::data;
use crate::failure::{Code, Failure, Result};
use fos_sim::faults::{Fault, Plan};
use fos_sim::scenarios::{SCENARIOS, Scenario};
use fos_sim::{Costs, Report, Setup, Sink, kill_points};
use serde_json::{Value, json};

mod figure;

/// Failing runs that a sweep reports before it stops.
const FAILURES_MAX: usize = 5;

/// Runs what is asked for.
pub fn run(command: &SimCommand, session: Session) -> Result<u8> {
    match command {
        SimCommand::List => list(session),
        SimCommand::Run { run, trace } => {
            let setup = setup(run)?;
            one(&setup, (*trace).then(print_line), None, session)
        }
        SimCommand::Replay { run, expect } => {
            let setup = setup(run)?;
            let trace = (!session.json).then(print_line);
            one(&setup, trace, expect.as_deref(), session)
        }
        SimCommand::Sweep { scenarios, seeds, from, kill_points, shape } => {
            let (scenarios, costs) = (choose(scenarios)?, costs(shape.costs.as_deref())?);
            let seeds = *from..from.saturating_add(*seeds);
            let setups = scenarios.into_iter().flat_map(|scenario| {
                let costs = &costs;
                seeds.clone().map(move |seed| shaped(Setup::new(scenario, seed, costs.clone()), shape))
            });
            sweep(setups, *kill_points, session)
        }
        SimCommand::Figure { name, csv, write } => figure::run(name, *csv, *write, session),
    }
}

fn list(session: Session) -> Result<u8> {
    if session.json {
        let scenarios = SCENARIOS.iter().map(|scenario| {
            json!({
                "name": scenario.name, "about": scenario.about, "cores": scenario.cores,
                "messages": scenario.messages,
            })
        });
        data::json(&json!({ "schema": "fos.sim-scenarios/1", "scenarios": scenarios.collect::<Vec<_>>() }))?;
        return Ok(0);
    }
    SCENARIOS.iter().try_for_each(|scenario| {
        let Scenario { name, about, cores, messages, .. } = scenario;
        data::line(format_args!(
            "{name:8} {about}\n         {cores} cores, {messages} messages unless said otherwise"
        ))
    })?;
    Ok(0)
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        Ok(SCENARIOS.iter().collect())
    } else {
        names.iter().map(|name| find(name)).collect()
    }
}

fn find(name: &str) -> Result<&'static Scenario> {
    fos_sim::scenarios::find(name).ok_or_else(|| {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        Failure::new(Code::NotFound, format!("no scenario is named {name:?}"))
            .hint(format!("the scenarios are: {}", known.join(", ")))
    })
}

fn costs(name: Option<&str>) -> Result<Costs> {
    Costs::load(name.unwrap_or("default")).map_err(|why| Failure::new(Code::NotFound, why))
}

/// The same with what the command line says otherwise.
fn shaped(mut setup: Setup, shape: &SimShape) -> Setup {
    setup.cores = shape.cores.unwrap_or(setup.cores);
    setup.messages = shape.messages.unwrap_or(setup.messages);
    setup
}

fn setup(arguments: &SimRunArguments) -> Result<Setup> {
    let scenario = find(&arguments.scenario)?;
    let setup = Setup::new(scenario, arguments.seed, costs(arguments.shape.costs.as_deref())?);
    let mut setup = shaped(setup, &arguments.shape);
    let faults: std::result::Result<Vec<Fault>, String> =
        arguments.fault.iter().map(|text| Fault::parse(text)).collect();
    setup.plan = Plan(faults.map_err(|why| Failure::new(Code::Usage, why))?);
    Ok(if arguments.faults { setup.with_faults_of_the_seed() } else { setup })
}

fn print_line() -> Sink {
    // A reader that has gone away ends the trace, not the run.
    Box::new(|line| drop(data::line(line)))
}

/// One run, with its trace compared if there is something to compare with.
fn one(setup: &Setup, sink: Option<Sink>, expect: Option<&str>, session: Session) -> Result<u8> {
    let report = setup.run(sink);
    if session.json {
        data::json(&document(setup, &report))?;
    } else {
        print(setup, &report)?;
    }
    let trace = format!("{:016x}", report.trace);
    if let Some(expected) = expect.filter(|expected| **expected != trace) {
        return Err(Failure::new(Code::Failed, format!("the trace is {trace} instead of {expected}"))
            .hint("the servers, the simulator or the cost file have changed since"));
    }
    Ok(if report.failure.is_some() { Code::Failed as u8 } else { 0 })
}

/// Many runs: stops after a few failures, each with the command that repeats it.
fn sweep(setups: impl Iterator<Item = Setup>, at_kill_points: bool, session: Session) -> Result<u8> {
    let stage = session.talk.stage("running the seeds");
    let (mut runs, mut faults, mut failed) = (0u64, 0, Vec::new());
    'seeds: for setup in setups {
        let (scenario, seed) = (setup.scenario.name, setup.seed);
        let variants: Box<dyn Iterator<Item = Setup>> = if at_kill_points {
            let points = kill_points(&setup).map_err(|why| Failure::new(Code::Failed, why))?;
            Box::new(points.into_iter().map(move |kill| Setup { plan: kill.plan(), ..setup.clone() }))
        } else {
            Box::new(std::iter::once(setup.with_faults_of_the_seed()))
        };
        for setup in variants {
            let wrong = failed.len();
            stage.at(format_args!("{scenario} seed {seed}, {runs} runs, {faults} faults, {wrong} failed"));
            let report = setup.run(None);
            runs += 1;
            faults += report.faults.iter().filter(|(_, came_about)| *came_about).count();
            if report.failure.is_some() {
                failed.push((setup, report));
            }
            if failed.len() == FAILURES_MAX {
                break 'seeds;
            }
        }
    }
    drop(stage);
    if session.json {
        let failures: Vec<Value> = failed.iter().map(|(setup, report)| document(setup, report)).collect();
        data::json(
            &json!({ "schema": "fos.sim-sweep/1", "runs": runs, "faults": faults, "failures": failures }),
        )?;
    } else {
        failed.iter().try_for_each(|(setup, report)| print(setup, report))?;
        data::line(format_args!("{runs} runs, {faults} faults came about, {} failed", failed.len()))?;
    }
    Ok(if failed.is_empty() { 0 } else { Code::Failed as u8 })
}

fn print(setup: &Setup, report: &Report) -> Result<()> {
    let Setup { scenario, seed, cores, costs, .. } = setup;
    data::line(format_args!("{} seed {seed}, {cores} cores, costs {}", scenario.name, costs.name))?;
    for (fault, came_about) in &report.faults {
        let never = if *came_about { "" } else { " (never came about)" };
        data::line(format_args!("  fault: {fault}{never}"))?;
    }
    let Report { nanoseconds, messages, refused, steps, trace, .. } = report;
    let milliseconds = *nanoseconds as f64 / 1e6;
    data::line(format_args!(
        "  {milliseconds:.3} ms simulated, {steps} steps, {messages} messages, {refused} refused, trace {trace:016x}"
    ))?;
    for figure in &report.figures {
        data::line(format_args!("  {} {:.0} {}", figure.key, figure.value, figure.unit))?;
    }
    match &report.failure {
        None => data::line("  everything held"),
        Some(why) => data::line(format_args!("  FAILED: {why}\n  repeat it with: {}", report.replay)),
    }
}

fn document(setup: &Setup, report: &Report) -> Value {
    let faults = report.faults.iter().map(|(fault, came)| json!({ "fault": fault, "came_about": came }));
    let figures = report
        .figures
        .iter()
        .map(|figure| json!({ "key": figure.key, "value": figure.value, "unit": figure.unit }));
    json!({
        "schema": "fos.sim/1",
        "scenario": setup.scenario.name,
        "seed": setup.seed,
        "cores": setup.cores,
        "costs": setup.costs.name,
        "faults": faults.collect::<Vec<_>>(),
        "failure": report.failure,
        "trace": format!("{:016x}", report.trace),
        "simulated_nanoseconds": report.nanoseconds,
        "steps": report.steps,
        "messages": report.messages,
        "refused": report.refused,
        "figures": figures.collect::<Vec<_>>(),
        "replay": report.replay,
    })
}
