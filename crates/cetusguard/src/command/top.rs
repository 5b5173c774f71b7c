//! `cetusguard top`: the state of a running proxy in a terminal, over its admin listener.

mod client;
mod controls;
mod events;
mod figures;
mod keys;
mod screen;
mod state;
mod view;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cetusguard_config::Mistakes;
use cetusguard_config::address::Address;
use cetusguard_config::admin::is_local;
use cetusguard_config::read_text;
use cetusguard_config::setting;
use cetusguard_config::written::Written;
use rustls::ClientConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::page::TextPage;
use super::{CommandFailure, CommandOutput, Invocation, doubt, tell};
use cetusguard_proxy::{client_settings, pinned_client_settings};
use client::{AdminClient, Unavailable, follow_refusals};
use controls::Controls;
use keys::PressedKey;
use screen::{Screen, Size};
use state::{ProxyNews, Top};
use view::Extent;

/// The time between two polls, and between two drawings of the screen.
const INTERVAL: Duration = Duration::from_secs(1);
/// Reports that may wait for the screen. A follower that has to wait stops reading, and the proxy
/// then counts the decisions that it loses.
const REPORTS: usize = 256;

/// Shows the state of a proxy until SIGINT or SIGTERM, or prints it once if standard output is no
/// terminal.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    if !asked.sources.stray.is_empty() {
        return Err(Mistakes(asked.sources.stray.clone()).into());
    }
    // A proxy goes on with its policy while its new configuration has mistakes.
    let (written, _, mistakes) = asked.sources.read();
    if let Some(doubt) = doubt(&mistakes, "what this shows may be of another proxy") {
        tell(&format!("cetusguard: {doubt}"));
    }
    let client = Arc::new(choose_listener(&written, asked)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let env = &asked.sources.env;
    let text = runtime.block_on(async {
        if asked.flag("once") || !Screen::is_possible(env) {
            let top = observe_once(&client).await.map_err(|why| why.to_string())?;
            Ok(paint(view::lines(&top, Extent::Whole), env))
        } else {
            watch(&client, env).await.map(|()| String::new())
        }
    });
    // A look-up of a name may still be under way, on a thread that cannot be interrupted.
    runtime.shutdown_background();
    Ok(text.map_err(CommandFailure::Why)?.into())
}

/// Returns the client of the admin listener that is named, or else of the configured one.
fn choose_listener(written: &Written, asked: &Invocation) -> Result<AdminClient, String> {
    let named = asked.value("ADDR");
    let configured = written.one(setting!("admin-addr")).map(|(text, _)| text);
    let read = |text: &str| Address::admin(text).map_err(|why| format!("{text:?}: {why}"));
    let Some(text) = named.or(configured) else {
        return Err(
            "the configuration has no admin-addr; set it and restart the proxy, or name the \
            address of its admin listener: cetusguard top unix:///PATH"
                .to_owned(),
        );
    };
    let own = || match configured.filter(|_| named.is_some()) {
        Some(own) => format!("; that of the configuration is {own}"),
        None => String::new(),
    };
    let address = reachable(read(text).map_err(|why| format!("{why}{}", own()))?);
    if matches!(address, Address::Inherited(_)) {
        return Err(
            "fd:// is no address of an admin listener; expected unix:///PATH or \
            tcp://HOST:PORT"
                .to_owned(),
        );
    }
    // The token of the configuration goes to no other host than that of its own listener.
    let is_configured = match configured.map(read).transpose() {
        Ok(Some(own)) => is_same_listener(&reachable(own), &address),
        _ => false,
    };
    let of_listener = |name| {
        written
            .one(name)
            .map(|(path, _)| path)
            .filter(|_| is_configured)
    };
    let token = asked
        .value("token-file")
        .or_else(|| of_listener(setting!("admin-token-file")));
    let token = token.map(read_token).transpose()?;
    let tls = TlsFiles {
        cacert: asked.value("tls-cacert"),
        own: asked.value("tls-cert").zip(asked.value("tls-key")),
        listener: of_listener(setting!("admin-tls-cert")),
        listener_key: of_listener(setting!("admin-tls-key")),
    };
    Ok(AdminClient::new(
        address.clone(),
        tls.settings(&address)?,
        token,
    ))
}

/// The files for TLS with an admin listener.
struct TlsFiles<'f> {
    /// The authorities of the listener's certificate.
    cacert: Option<&'f str>,
    /// The certificate and the key of this command.
    own: Option<(&'f str, &'f str)>,
    /// The certificate and the key of the listener, as the configuration names them.
    listener: Option<&'f str>,
    listener_key: Option<&'f str>,
}

impl TlsFiles<'_> {
    /// Returns the settings for a listener; `None` if it has no TLS.
    fn settings(&self, address: &Address) -> Result<Option<Arc<ClientConfig>>, String> {
        let is_asked_for = self.cacert.is_some() || self.own.is_some();
        if is_asked_for && matches!(address, Address::Unix(_)) {
            return Err(format!(
                "TLS is for TCP, and {address} is a Unix socket; leave --tls-cacert, --tls-cert \
                and --tls-key out"
            ));
        }
        // A listener may accept its own certificate from a client.
        let own = self.own.or(self.listener.zip(self.listener_key));
        let settings = match (self.cacert, self.listener) {
            (Some(cacert), _) => client_settings(cacert, self.own),
            (None, Some(cert)) => pinned_client_settings(cert, own),
            (None, None) if is_asked_for => {
                return Err(format!(
                    "nothing says which certificate {address} has; name the file of its CA: \
                    --tls-cacert FILE"
                ));
            }
            (None, None) => return Ok(None),
        };
        settings.map(Some).map_err(|why| why.to_string())
    }
}

/// Returns the address at which to ask a listener that listens on every address.
fn reachable(address: Address) -> Address {
    match address {
        Address::Tcp { host, port } => Address::Tcp {
            host: super::healthcheck::reachable_host(&host),
            port,
        },
        other => other,
    }
}

/// Returns whether an address that the user has named leads to the configured listener.
fn is_same_listener(own: &Address, named: &Address) -> bool {
    let port = |address: &Address| match address {
        Address::Tcp { port, .. } => Some(*port),
        _ => None,
    };
    own == named || (port(own).is_some() && port(own) == port(named) && is_local(named))
}

/// Reads the token that every request carries.
fn read_token(path: &str) -> Result<String, String> {
    let text = read_text(path).map_err(|why| {
        format!(
            "the token cannot be read from {path}: {why}; {}",
            why.advice()
        )
    })?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{path} does not hold one token; name the file that admin-token-file of the proxy names"
        ));
    }
    Ok(token.to_owned())
}

/// Watches the proxy for one interval.
async fn observe_once(client: &Arc<AdminClient>) -> Result<Top, Unavailable> {
    let mut top = Top::new(client.address());
    top.note_poll(client.poll().await?);
    let (sender, mut reports) = mpsc::channel(REPORTS);
    let follower = tokio::spawn(follow_refusals(Arc::clone(client), sender));
    // The interval begins when refusals are followed, or when it is known why they are not.
    if let Some(report) = reports.recv().await {
        top.note(report);
    }
    let mut end = std::pin::pin!(sleep(INTERVAL));
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            Some(report) = reports.recv() => top.note(report),
        }
    }
    top.note_poll(client.poll().await?);
    while let Ok(report) = reports.try_recv() {
        top.note(report);
    }
    follower.abort();
    Ok(top)
}

/// Draws the state of the proxy each second, until a key or a signal ends it.
async fn watch(client: &Arc<AdminClient>, env: &HashMap<String, OsString>) -> Result<(), String> {
    let on = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let kind = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
    let [mut terminate, mut interrupt, mut hang_up, mut resized] = [
        on(SignalKind::terminate())?,
        on(SignalKind::interrupt())?,
        on(SignalKind::hangup())?,
        on(SignalKind::window_change())?,
    ];
    let mut stopped = on(kind(rustix::process::Signal::TSTP))?;
    let mut continued = on(kind(rustix::process::Signal::CONT))?;
    let mut top = Top::new(client.address());
    // The first mistake ends the program, while its message is in sight.
    top.note_poll(client.poll().await.map_err(|why| why.to_string())?);
    let (sender, mut reports) = mpsc::channel(REPORTS);
    let mut readers = JoinSet::new();
    readers.spawn(follow_refusals(Arc::clone(client), sender.clone()));
    readers.spawn(poll_forever(Arc::clone(client), sender));
    let mut screen = Screen::open().map_err(|error| no_screen(&error))?;
    let mut keys = screen.keys().map_err(|error| no_screen(&error))?;
    let mut view = LiveView::default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = received(&mut terminate) => return Ok(()),
            () = received(&mut interrupt) => return Ok(()),
            () = received(&mut hang_up) => return Ok(()),
            () = received(&mut stopped) => screen.suspend().map_err(|error| no_screen(&error))?,
            () = received(&mut continued) => {
                screen.resume().map_err(|error| no_screen(&error))?;
                ticks.reset_immediately();
            }
            () = received(&mut resized) => ticks.reset_immediately(),
            key = next_key(&mut keys) => {
                if view.press(key, &top) {
                    return Ok(());
                }
                ticks.reset_immediately();
            }
            _ = ticks.tick() => {
                let text = view.paint(&top, screen.size(), env);
                screen.draw(&text).map_err(|error| no_screen(&error))?;
            }
            Some(report) = reports.recv() => top.note(report),
            Some(_) = readers.join_next() => {
                return Err("reading from the admin listener ended by a mistake of this program".to_owned());
            }
        }
    }
}

/// The state of the screen, as the user wants it.
#[derive(Debug, Default)]
struct LiveView {
    controls: Controls,
    /// The state at the moment of the pause.
    frozen: Option<Top>,
}

impl LiveView {
    /// Takes a key; returns true if the user has seen enough.
    fn press(&mut self, key: PressedKey, top: &Top) -> bool {
        let is_over = self.controls.press(key);
        match self.controls.is_paused {
            true if self.frozen.is_none() => self.frozen = Some(top.clone()),
            true => {}
            false => self.frozen = None,
        }
        is_over
    }

    fn paint(&self, top: &Top, size: Size, env: &HashMap<String, OsString>) -> String {
        let top = self.frozen.as_ref().unwrap_or(top);
        paint(view::screen_lines(top, size, &self.controls), env)
    }
}

/// Waits for a key; for ever if there is no terminal that could send one.
async fn next_key(keys: &mut Option<mpsc::Receiver<PressedKey>>) -> PressedKey {
    if let Some(receiver) = keys
        && let Some(key) = receiver.recv().await
    {
        return key;
    }
    std::future::pending().await
}

fn no_screen(error: &io::Error) -> String {
    format!("the terminal does not take the screen: {error}; try cetusguard top --once")
}

async fn received(signal: &mut Signal) {
    signal.recv().await;
}

/// Polls the proxy each second, whether it answers or not.
async fn poll_forever(client: Arc<AdminClient>, reports: mpsc::Sender<ProxyNews>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and the first poll was made.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let polled = client.poll().await;
        let report = polled.map_or_else(|why| ProxyNews::NoPoll(why.to_string()), ProxyNews::Poll);
        if reports.send(report).await.is_err() {
            return;
        }
    }
}

/// Writes the lines of the view, with colour where there is a terminal for it.
fn paint(lines: Vec<view::Line>, env: &HashMap<String, OsString>) -> String {
    let mut page = TextPage::new(env);
    for (look, line) in lines {
        page.line(0, look, &line);
    }
    page.into_text()
}
