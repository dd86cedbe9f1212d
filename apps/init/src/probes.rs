//! Has the fleet `knowledge` told of each core, by a program that is started there, finds out and ends.

use fos_init::Founder;
use fos_knowledge::charter::ROLE_PROBE;
use fos_messages::names::DirectoryKey;
use fos_messages::programs::Order;
use fos_runtime::fleet;
use libfos::println;

/// One core after the other. What is not found out about a core is not known: that is said, and nothing else waits for it.
pub async fn run(founder: &Founder, program: &str, key: DirectoryKey) {
    for core in founder.cores.clone() {
        let order = Order { program: program.into(), arguments: fleet::arguments(ROLE_PROBE, key), core };
        let ended = async {
            let probe = founder.root.start(&order).await?;
            founder.root.end(probe.number).await
        };
        match ended.await {
            Ok(0) => {}
            Ok(status) => println!("init: the probe of core {core} ended with status {status}"),
            Err(error) => println!("init: core {core} is not probed: {error}"),
        }
    }
}
