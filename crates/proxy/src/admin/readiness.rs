//! Readiness: whether requests of clients can be served now.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::engine::{ObjectAnswer, fetch_as};
use crate::flow::Proxy;

/// The user agent of the question to the engine.
const AGENT: &str = "cetusguard-readiness";
/// The time that the engine has to answer, and the time for which its answer is valid.
const DEADLINE: Duration = Duration::from_secs(1);

/// The last answer of the engine, for those who ask soon after.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Readiness {
    /// Finds out whether the proxy can serve requests.
    ///
    /// # Errors
    /// Returns the reason why it cannot.
    pub(super) async fn check(&self, proxy: &Proxy) -> Result<(), String> {
        if *proxy.stopping.borrow() {
            return Err("the proxy is shutting down".to_owned());
        }
        self.ask_engine(proxy).await?;
        match proxy.containers.missing_events() {
            Some(why) => Err(format!(
                "the engine's events are needed to tell containers apart, and are not followed: \
                {why}"
            )),
            None => Ok(()),
        }
    }

    /// Asks the engine, unless it was asked within the last second. The lock lets one question at a
    /// time go to the engine, however many wait for its answer.
    async fn ask_engine(&self, proxy: &Proxy) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((at, state)) = &*last
            && at.elapsed() < DEADLINE
        {
            return state.clone();
        }
        let state = match fetch_as(AGENT, &proxy.backend, "/_ping", DEADLINE).await {
            Ok(ObjectAnswer::Answer(_)) => Ok(()),
            Ok(ObjectAnswer::Missing(_)) => Err("the engine answered 404 to /_ping".to_owned()),
            Err(trouble) => Err(trouble.to_string()),
        };
        *last = Some((Instant::now(), state.clone()));
        state
    }
}
