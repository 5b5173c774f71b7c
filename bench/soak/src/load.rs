//! The load: each kind is a file, and each round of a kind is a function that says how it went.

mod creations;
pub(crate) mod crowd;
mod garbage;
mod leavers;
mod lists;
pub(crate) mod reloads;
mod small;
mod stalls;
mod streams;
mod transfers;
mod tunnels;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::{Client, Site, Via};
use crate::random::Random;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::world::World;

pub(crate) type Round = fn(&mut Client) -> Result<(), Trouble>;

/// The kinds, and how many clients each has on each frontend.
const KINDS: [(&str, Round, usize); 11] = [
    ("small requests", small::round, 2),
    ("lists", lists::round, 1),
    ("uploads", transfers::upload, 1),
    ("downloads", transfers::download, 1),
    ("tunnels", tunnels::round, 1),
    ("streams", streams::round, 2),
    ("leaving clients", leavers::round, 1),
    ("garbage", garbage::round, 1),
    ("creations", creations::round, 1),
    ("pausing readers", stalls::reader, 1),
    ("pausing writers", stalls::writer, 1),
];

const SLOW: [(&str, Round); 2] = [
    ("slow heads", stalls::slow_head),
    ("stalled readers", stalls::for_good),
];

/// The clients of each kind on each frontend.
pub(crate) fn clients(world: &Arc<World>, site: &Arc<Site>) -> Vec<(Client, Round)> {
    let mut all = Vec::new();
    let mut add = |kind: &'static str, round: Round, via: Via, copy: usize| {
        let last = u8::try_from(all.len() + 1).unwrap_or(u8::MAX);
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, last));
        let random = Random::new(world.seed, &format!("{kind} {via:?} {copy}"));
        let (world, site) = (Arc::clone(world), Arc::clone(site));
        all.push((
            Client {
                world,
                site,
                via,
                source,
                random,
                kind,
            },
            round,
        ));
    };
    for (kind, round, copies) in KINDS {
        for via in Via::ALL {
            (0..copies).for_each(|copy| add(kind, round, via, copy));
        }
    }
    all
}

/// The clients whose rounds take as long as the proxy's own limits of time.
pub(crate) fn slow_clients(world: &Arc<World>, site: &Arc<Site>) -> Vec<(Client, Round)> {
    let client = |(number, (kind, round)): (u8, (&'static str, Round))| {
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 3, number));
        let (random, world, site) = (
            Random::new(world.seed, kind),
            Arc::clone(world),
            Arc::clone(site),
        );
        (
            Client {
                world,
                site,
                via: Via::Tcp,
                source,
                random,
                kind,
            },
            round,
        )
    };
    (1..).zip(SLOW).map(client).collect()
}

/// Runs rounds until the run ends.
pub(crate) fn run((mut client, round): (Client, Round)) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !client.world.is_stopping() {
            judge(&mut client, round);
        }
    })
}

/// Runs so many rounds.
pub(crate) fn run_rounds((mut client, round): (Client, Round), rounds: u64) -> JoinHandle<()> {
    std::thread::spawn(move || (0..rounds).for_each(|_| judge(&mut client, round)))
}

/// Runs one round. What a restart of the engine has cut is counted, and everything else that goes
/// wrong is a failure.
pub(crate) fn judge(client: &mut Client, round: Round) {
    let epoch = client.world.epoch();
    match round(client) {
        Ok(()) => {}
        Err(Trouble::Cut(_)) if client.world.was_down_since(epoch) => {
            client.count(Count::Cut, 1);
            // While the engine is away, refusals alone would fill the log.
            client.world.pause(Duration::from_millis(20));
        }
        Err(Trouble::Cut(why) | Trouble::Wrong(why)) => {
            client.count(Count::Failed, 1);
            client
                .world
                .fail(format!("{} over {:?}: {why}", client.kind, client.via));
            // Some failures come at once, and thousands of them say no more than a few.
            client.world.pause(Duration::from_millis(100));
        }
    }
}
