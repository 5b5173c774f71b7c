//! Changes of the rules while everything else goes on: the new ones are in force, and broken ones
//! never are.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{Client, Via, head};
use crate::policy::{Files, Version};
use crate::proxy::{Failure, Proxy};
use crate::tally::Count;
use crate::trouble::Trouble;

const NOT_RELOADED: &str = "configuration not reloaded: the old one stays";

/// Changes the rules until the run ends.
pub(crate) fn run(client: &mut Client, files: &Files, proxy: &Arc<Proxy>) {
    let mut version = Version::Networks;
    while !client.world.is_stopping() {
        if let Err(failure) = change(client, files, proxy, &mut version) {
            client.count(Count::Failed, 1);
            client.world.fail(format!("reload: {failure}"));
        }
        let pause = client.random.within(500, 2500);
        client.world.pause(Duration::from_millis(pause));
    }
}

fn change(
    client: &mut Client,
    files: &Files,
    proxy: &Proxy,
    version: &mut Version,
) -> Result<(), Failure> {
    let (is_broken, signals) = (client.random.one_in(3), client.random.one_in(2));
    let before = proxy.told(NOT_RELOADED);
    if is_broken {
        files.spoil(*version)?;
    } else {
        *version = version.other();
        files.replace(*version)?;
    }
    // Without a signal, the change of the file is noticed.
    if signals {
        proxy.signal(Signal::HUP)?;
    }
    let world = Arc::clone(&client.world);
    if is_broken && !world.eventually(world.patience, || proxy.told(NOT_RELOADED) > before) {
        return Err("broken rules were not noticed".into());
    }
    for via in Via::ALL {
        client.via = via;
        // A change takes a while to be in force. Broken rules must never be, so that the first look
        // counts.
        let mut last = Ok(false);
        world.eventually(world.patience, || {
            last = follows(client, *version);
            !matches!(last, Ok(false)) || (is_broken && !matches!(last, Err(Trouble::Cut(_))))
        });
        match last {
            Ok(true) => {}
            Ok(false) if is_broken => {
                return Err(
                    format!("after broken rules, {via:?} no longer follows {version:?}").into(),
                );
            }
            Ok(false) => {
                return Err(format!("{via:?} never followed the new rules, {version:?}").into());
            }
            Err(trouble) => return Err(format!("{via:?}: {trouble:?}").into()),
        }
    }
    Ok(())
}

/// Returns whether this version is in force.
fn follows(client: &mut Client, version: Version) -> Result<bool, Trouble> {
    let wanted = [(version.path(), 200), (version.other().path(), 403)];
    for (path, wanted) in wanted {
        let status = loop {
            let epoch = client.world.epoch();
            match ask(client, path) {
                Ok(502 | 504) | Err(Trouble::Cut(_)) if client.world.was_down_since(epoch) => {
                    client.world.pause(Duration::from_millis(100))
                }
                other => break other?,
            }
        };
        match status {
            200 | 403 if status != wanted => return Ok(false),
            200 | 403 => {}
            other => return Err(Trouble::Wrong(format!("GET {path} got {other}"))),
        }
    }
    Ok(true)
}

fn ask(client: &mut Client, path: &str) -> Result<u16, Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    wire.send(head(&ticket, &format!("GET {path}"), ""))?;
    let head = wire
        .read_head()?
        .ok_or_else(|| Trouble::Cut("closed without an answer".to_owned()))?;
    wire.read_whole(head.body())?;
    ticket.whole(head.status());
    if head.status() == 403 {
        client.count(Count::Refused, 1);
    }
    Ok(head.status())
}
