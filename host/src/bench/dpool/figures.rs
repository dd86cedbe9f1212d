//! The figures of docs/performance.md about pools: all schemes by rate, stalls and messages, simulated and native, a panel for each
//! number of members; and the limit of each scheme against the number of members.

use super::{BEST, COSTS, MEMBERS, key, limit, native, value};
use crate::bench::document::Document;
use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use fos_sim::figures::{Chart, Series, simulated};
use fos_sim::scenarios::dpool::rates::{CLIENTS, SCHEMES};

/// What is drawn of each scheme: key, title, what stands beside the upright axis, points for each unit of that.
const DRAWN: [(&str, &str, &str, f64); 3] = [
    ("takes", "taken", "thousand takes per second", 1.0),
    ("stalls", "takes that wait for another", "percent", 100_000.0),
    ("messages", "messages for each element taken", "messages", 1000.0),
];
/// Clients are drawn by their logarithm.
const CLIENTS_AXIS: &str = "clients, two to the power of";

/// What a row is called: what, scheme, members, clients.
type Key = fn(&str, &str, u32, u32) -> String;

/// Draws all of them.
pub fn write(document: &Document) -> Result<()> {
    for (what, title, upright, scale) in DRAWN {
        let charts = |key: Key, source: &str| {
            MEMBERS.map(|members| Chart {
                name: "dpool",
                title: format!("{members} members: {title}"),
                axes: (CLIENTS_AXIS, upright),
                source: source.to_owned(),
                series: SCHEMES
                    .map(|(scheme, _)| by_clients(document, key, what, scheme, members, scale))
                    .into(),
            })
        };
        draw(&format!("dpool-{what}"), &charts(key, &simulated(COSTS)))?;
        draw(&format!("dpool-native-{what}"), &charts(native::key, "native, on one core"))?;
    }
    draw("dpool-members", &[by_load(document)])?;
    draw("dpool-limit", &[limits(document)])
}

fn by_clients(document: &Document, key: Key, what: &str, scheme: &str, members: u32, scale: f64) -> Series {
    let point = |clients: u32| {
        (clients.ilog2(), (value(&document.rows, &key(what, scheme, members, clients)) * scale) as u64)
    };
    Series { name: scheme.to_owned(), points: CLIENTS.map(point).into() }
}

/// How what is taken rises with the load, for each number of members.
fn by_load(document: &Document) -> Chart {
    let series = |members| Series {
        name: format!("{members} members"),
        ..by_clients(document, key, "takes", BEST, members, 1.0)
    };
    Chart {
        name: "dpool-members",
        title: "What a pool hands out, pushed with estimation".to_owned(),
        axes: (CLIENTS_AXIS, "thousand takes per second"),
        source: simulated(COSTS),
        series: MEMBERS.map(series).into(),
    }
}

/// How the most that is taken rises with members.
fn limits(document: &Document) -> Chart {
    let of = |scheme: &str, members| limit(&document.rows, scheme, members) as u64;
    let linear = |members| (members, of(BEST, 1) * u64::from(members));
    let mut series =
        vec![Series { name: "so many times one member".to_owned(), points: MEMBERS.map(linear).into() }];
    series.extend(SCHEMES.map(|(scheme, _)| Series {
        name: scheme.to_owned(),
        points: MEMBERS.map(|members| (members, of(scheme, members))).into(),
    }));
    Chart {
        name: "dpool-limit",
        title: "The most that a pool hands out".to_owned(),
        axes: ("members", "thousand takes per second"),
        source: simulated(COSTS),
        series,
    }
}

fn draw(name: &str, charts: &[Chart]) -> Result<()> {
    let path = repository::root().join(format!("docs/figures/{name}.svg"));
    let text = Chart::svg_of(charts).map_err(|why| Failure::new(Code::Failed, why))?;
    std::fs::write(&path, text).doing(format_args!("writing {}", path.display()))
}
