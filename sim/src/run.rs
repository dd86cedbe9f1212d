//! One run of one scenario: set up, run to its end or to the first broken promise, reported with the command that
//! repeats it.

use crate::faults::{Fault, Mishap, Plan, When};
use crate::scenarios::{Course, Scenario};
use crate::stopwatch::{Clock, Measured};
use crate::trace::Sink;
use crate::world::World;
use crate::{Costs, Random};

/// A scenario that has not ended by this time never will: 100 simulated seconds.
const NANOSECONDS_MAX: u64 = 100_000_000_000;
/// The stream of plans is another than the run's, so that a run with a plan given by hand is the run that drew it.
const PLAN_STREAM: u64 = 0x0070_6c61_6e73;

/// What decides a run, all of it.
#[derive(Clone)]
pub struct Setup {
    /// What happens.
    pub scenario: &'static Scenario,
    /// Where chance comes from.
    pub seed: u64,
    /// Simulated cores.
    pub cores: u32,
    /// About how many messages it is to have.
    pub messages: u64,
    /// What things cost.
    pub costs: Costs,
    /// What goes wrong.
    pub plan: Plan,
}

/// A number that a scenario found.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is, as a key.
    pub key: &'static str,
    /// The number.
    pub value: f64,
    /// What it counts.
    pub unit: &'static str,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What broke, if anything did.
    pub failure: Option<String>,
    /// The number of its trace.
    pub trace: u64,
    /// Simulated time.
    pub nanoseconds: u64,
    /// Messages accepted.
    pub messages: u64,
    /// Messages not accepted.
    pub refused: u64,
    /// Steps of all processes.
    pub steps: u64,
    /// What the scenario found.
    pub figures: Vec<Figure>,
    /// Each fault of the plan, and whether it came about.
    pub faults: Vec<(String, bool)>,
    /// The command that repeats it.
    pub replay: String,
}

impl Setup {
    /// A scenario as it is meant to be run.
    pub fn new(scenario: &'static Scenario, seed: u64, costs: Costs) -> Setup {
        let (cores, messages) = (scenario.cores, scenario.messages);
        Setup { scenario, seed, cores, messages, costs, plan: Plan::default() }
    }

    /// The same with the faults that its seed plans.
    pub fn with_faults_of_the_seed(mut self) -> Setup {
        let world = self.world(None, None);
        let dangers = (self.scenario.begin)(&world, self.messages).dangers();
        world.close();
        self.plan = Plan::draw(&mut Random::new(self.seed ^ PLAN_STREAM), &dangers);
        self
    }

    /// Runs it. The trace goes line by line to `sink`.
    pub fn run(&self, sink: Option<Sink>) -> Report {
        let world = self.world(sink, None);
        let course = (self.scenario.begin)(&world, self.messages);
        let failure = self.course(&world, &*course);
        let counts = world.counts();
        let trace = world.trace_hash();
        let faults = self.plan.0.iter().map(Fault::to_string).zip(world.came_about()).collect();
        let report = Report {
            failure,
            trace,
            nanoseconds: world.now(),
            messages: counts.messages,
            refused: counts.refused,
            steps: counts.steps,
            figures: course.figures(&world),
            faults,
            replay: self.replay(trace),
        };
        world.close();
        report
    }

    /// Runs it with a clock beside it, and says how long each kind of step really took. A handler without a cost is no
    /// failure here: this is where costs come from.
    pub fn measure(&self, clock: Box<dyn Clock>) -> Result<Measured, String> {
        let world = self.world(None, Some(clock));
        let course = (self.scenario.begin)(&world, self.messages);
        let failure = self.course(&world, &*course);
        let measured = world.measured();
        world.close();
        failure.map_or(Ok(measured), Err)
    }

    fn world(&self, sink: Option<Sink>, clock: Option<Box<dyn Clock>>) -> World {
        World::new(self.seed, self.cores, self.costs.clone(), sink, clock)
    }

    fn course(&self, world: &World, course: &dyn Course) -> Option<String> {
        world.plan(self.plan.clone());
        while !course.is_over() {
            if world.now() > NANOSECONDS_MAX {
                return Some("it has not ended after 100 simulated seconds".to_owned());
            }
            if !world.happen() {
                let why = || course.end().err().map_or(String::new(), |why| format!(": {why}"));
                let stuck = || format!("nothing is left to happen, and it has not ended{}", why());
                return world.failure().or_else(|| Some(stuck()));
            }
        }
        world.failure().or_else(|| course.end().err())
    }

    /// The command that repeats this run and compares its trace.
    pub fn replay(&self, trace: u64) -> String {
        let mut words = format!(
            "./fos sim replay {} --seed {} --cores {} --messages {} --costs {}",
            self.scenario.name, self.seed, self.cores, self.messages, self.costs.name
        );
        self.plan.0.iter().for_each(|fault| words += &format!(" --fault {:?}", fault.to_string()));
        words + &format!(" --expect {trace:016x}")
    }
}

/// One process's death at one point of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Which process.
    pub process: String,
    /// After how many messages of the whole run.
    pub message: u64,
}

impl Kill {
    /// As a plan.
    pub fn plan(&self) -> Plan {
        let mishap = Mishap::Kill { process: self.process.clone() };
        Plan(vec![Fault { mishap, when: When::Message(self.message) }])
    }
}

/// Every death of a process that the scenario lets die, after each message of the run without faults: what a sweep over
/// kill points runs, one by one.
pub fn kill_points(setup: &Setup) -> Result<Vec<Kill>, String> {
    let quiet = Setup { plan: Plan::default(), ..setup.clone() };
    let report = quiet.run(None);
    if let Some(failure) = report.failure {
        return Err(format!("without any fault: {failure}; {}", report.replay));
    }
    let world = quiet.world(None, None);
    let processes = (setup.scenario.begin)(&world, setup.messages).dangers().processes;
    world.close();
    let point =
        |message: u64| processes.iter().map(move |process| Kill { process: process.clone(), message });
    Ok((0..=report.messages).flat_map(point).collect())
}
