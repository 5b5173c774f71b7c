//! The checks after the load: nothing of it may be left.

use std::time::Duration;

use crate::engine::Engine;
use crate::proxy::{Failure, Figures, Proxy};
use crate::world::World;

/// The growth of private memory over the warm-up that is allowed, in KiB. The allocator keeps pages
/// between blocks that live on; runs of two and of five minutes end at the same figure.
pub(crate) const MARGIN: u64 = 6 << 10;
/// The proxy keeps connections to the engine for 30 seconds, and gives memory back every 10.
pub(crate) const SWEEPS: Duration = Duration::from_secs(45);

/// The figures to which the process has to come back: those after the warm-up, once no exchange is
/// left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal(pub(crate) Figures);

impl Goal {
    /// Tells what has not come back.
    pub(crate) fn missed(&self, now: &Figures, engine_connections: usize) -> Vec<String> {
        let mut missed = Vec::new();
        let mut check = |what: &str, now: u64, limit: u64, unit: &str| {
            if now > limit {
                missed.push(format!(
                    "{what}: {now}{unit}, and at the most {limit}{unit} were to be left"
                ));
            }
        };
        check(
            "connections to the engine",
            engine_connections as u64,
            0,
            "",
        );
        check("descriptors", now.descriptors, self.0.descriptors, "");
        check("threads", now.threads, self.0.threads, "");
        check(
            "private memory",
            now.private,
            self.0.private + MARGIN,
            " KiB",
        );
        missed
    }
}

/// Waits until the process has come back to where it was, and notes what has not. Returns its
/// figures.
pub(crate) fn settle(
    world: &World,
    proxy: &Proxy,
    engine: &Engine,
    goal: &Goal,
) -> Result<Figures, Failure> {
    let mut now = proxy.figures()?;
    let mut missed = Vec::new();
    world.eventually(SWEEPS.max(world.patience), || {
        if let Ok(figures) = proxy.figures() {
            now = figures;
        }
        missed = goal.missed(&now, engine.open());
        missed.is_empty()
    });
    missed
        .into_iter()
        .for_each(|missed| world.fail(format!("after the load: {missed}")));
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_that_does_not_come_back_is_told() {
        let start = Figures {
            private: 2000,
            resident: 5000,
            threads: 3,
            descriptors: 20,
        };
        let goal = Goal(start);
        assert!(
            goal.missed(
                &Figures {
                    private: 2000 + MARGIN,
                    ..start
                },
                0
            )
            .is_empty()
        );
        for (now, engine, word) in [
            (
                Figures {
                    private: 2001 + MARGIN,
                    ..start
                },
                0,
                "private memory",
            ),
            (
                Figures {
                    threads: 4,
                    ..start
                },
                0,
                "threads",
            ),
            (
                Figures {
                    descriptors: 21,
                    ..start
                },
                0,
                "descriptors",
            ),
            (start, 1, "connections to the engine"),
        ] {
            let missed = goal.missed(&now, engine);
            assert!(
                missed.len() == 1 && missed[0].starts_with(word),
                "{missed:?}"
            );
        }
    }
}
