//! The end: SIGTERM lets a request finish, ends a stream, and the program exits with 0 after its
//! last record.

use std::sync::atomic::Ordering::SeqCst;

use rustix::process::Signal;

use crate::client::{Client, Ticket, head};
use crate::fault::Fault;
use crate::proxy::{Failure, Proxy};
use crate::trouble::Trouble;
use crate::wire::{Body, Wire};

/// Asks the proxy to stop while a request and a stream are under way, and checks how it does.
pub(crate) fn drain(client: &mut Client, proxy: &Proxy) -> Result<(), Failure> {
    let world = std::sync::Arc::clone(&client.world);
    world.stopping.store(false, SeqCst);
    let epoch = world.epoch();
    let (mut held, mut ticket) = ask(client, "GET /containers/held/json").map_err(told)?;
    let (mut stream, mut streaming) = ask(client, "GET /events").map_err(told)?;
    let mut body = client
        .head(&mut stream, &mut streaming, 200)
        .map_err(told)?
        .body();
    if !world.has_arrived(ticket.number, epoch) {
        return Err("the engine did not get the last request".into());
    }
    proxy.signal(if world.makes(Fault::Kill) {
        Signal::KILL
    } else {
        Signal::TERM
    })?;
    let hears = world.eventually(world.patience, || {
        proxy.told("stopping: requests may finish, streams end") == 1
    });
    if !hears {
        world.fail("SIGTERM: the proxy does not say that it stops");
    }
    if let Err(why) = until_cut(&mut stream, &mut body) {
        world.fail(why);
    }
    world.stopping.store(true, SeqCst);
    world.released.store(true, SeqCst);
    if let Err(trouble) = client.own_answer(&mut held, &mut ticket, 200) {
        world.fail(format!(
            "SIGTERM: a request that was under way was not answered: {trouble:?}"
        ));
    }
    match proxy.wait(&world) {
        Some(status) if status.success() => {}
        other => world.fail(format!(
            "SIGTERM: the proxy ended with {other:?} instead of 0"
        )),
    }
    let (_, last) = proxy.lines();
    if last != "stopped" {
        world.fail(format!(
            "SIGTERM: the last record is {last:?} instead of \"stopped\""
        ));
    }
    Ok(())
}

fn told(trouble: Trouble) -> Failure {
    format!("before SIGTERM: {trouble:?}").into()
}

fn ask(client: &Client, line: &str) -> Result<(Wire, Ticket), Trouble> {
    let mut wire = client.connect()?;
    let ticket = client.ticket();
    wire.send(head(&ticket, line, ""))?;
    Ok((wire, ticket))
}

/// Reads a stream until it is cut: an end that looks whole would be a lie.
fn until_cut(stream: &mut Wire, body: &mut Body) -> Result<(), String> {
    loop {
        match stream.read_body(body) {
            Ok(some) if some.is_empty() => {
                return Err("SIGTERM: a stream ended as if it were whole".to_owned());
            }
            Ok(_) => {}
            Err(Trouble::Cut(_)) => return Ok(()),
            Err(Trouble::Wrong(why)) => {
                return Err(format!("SIGTERM: a stream does not end: {why}"));
            }
        }
    }
}
