//! A call to a server on another core beside Linux's getppid, and round trips of two Linux processes on two CPUs: fos and
//! Linux in turn on the same QEMU, two cores each. What is called a ratio is fos/Linux, the median of the pairs' ratios.

use super::document::{Row, median};
use super::machines::Pair;
use crate::failure::{Code, Failure, Result};

/// Calls of fos, and how each waits.
const CALLS: [(&str, &str); 3] = [
    ("rpc", "a call of nothing over a link, both sides woken from sleep"),
    ("rpc_by_mailbox", "a call of nothing by mailbox, both sides woken from sleep"),
    ("rpc_polling", "a call of nothing over a link, both sides polling"),
];

/// What Linux does beside them.
const BESIDE: [(&str, &str); 3] = [
    ("getppid", "getppid"),
    ("pipe", "a round trip of two processes through two pipes"),
    ("unix", "a round trip of two processes through AF_UNIX sockets"),
];

/// Each call over each of Linux's ways, where Linux was measured; then all times.
pub fn rows(pairs: &[Pair]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (call, how) in CALLS {
        for (beside, what) in BESIDE {
            let key = format!("guest_{call}_over_{beside}");
            let how = format!("{how}, over {what} on Linux, median ratio of {} pairs", pairs.len());
            let ratio =
                |pair: &Pair| pair.ratio(&format!("guest_{call}_ns"), &format!("linux_guest_{beside}_ns"));
            let ratios = pairs.iter().filter(|pair| !pair.linux.is_empty()).map(ratio);
            let lacks = || Failure::new(Code::Failed, format!("a guest measured nothing for {key}"));
            let ratios = ratios.collect::<Option<Vec<f64>>>().ok_or_else(lacks)?;
            rows.extend(median(ratios).map(|ratio| Row::new(&key, ratio, "ratio", &how)));
        }
    }
    rows.extend(times(pairs));
    Ok(rows)
}

/// The medians of what either side measured.
fn times(pairs: &[Pair]) -> Vec<Row> {
    let first = pairs.first().map(|pair| pair.fos.iter().chain(&pair.linux)).into_iter().flatten();
    let row = |measured: &fos_bench_linux::line::Measurement| {
        let key = measured.key.as_str();
        let values = pairs.iter().filter_map(|pair| pair.of_fos(key).or_else(|| pair.of_linux(key)));
        Row::new(key, median(values.collect()).unwrap_or_default(), &measured.unit, &measured.how)
    };
    first.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_bench_linux::line::Measurement;

    fn measured(key: &str, value: u64) -> Measurement {
        Measurement { key: key.into(), value, unit: "ns".into(), how: "clock".into() }
    }

    fn pair(calls: u64, linux: u64) -> Pair {
        let fos = CALLS.map(|(call, _)| measured(&format!("guest_{call}_ns"), calls));
        let linux = BESIDE.map(|(beside, _)| measured(&format!("linux_guest_{beside}_ns"), linux));
        Pair { fos: fos.to_vec(), linux: linux.to_vec() }
    }

    #[test]
    fn every_call_stands_beside_every_way_of_linux() {
        // The ratio of medians would be 20 / 40.
        let rows = rows(&[pair(10, 40), pair(20, 25), pair(30, 60)]).unwrap();
        let ratios: Vec<&Row> = rows.iter().filter(|row| row.unit == "ratio").collect();
        assert_eq!(ratios.len(), CALLS.len() * BESIDE.len());
        assert!(ratios.iter().all(|row| row.value == 0.5));
        let times: Vec<f64> = rows.iter().filter(|row| row.unit == "ns").map(|row| row.value).collect();
        assert_eq!(times, [20.0, 20.0, 20.0, 40.0, 40.0, 40.0]);
    }

    #[test]
    fn without_linux_there_are_times_alone_and_a_missing_key_is_an_error() {
        let alone = Pair { linux: vec![], ..pair(10, 40) };
        assert_eq!(rows(&[alone]).unwrap().len(), CALLS.len());
        let mut broken = pair(10, 40);
        broken.linux.pop();
        assert!(rows(&[broken]).is_err());
    }
}
