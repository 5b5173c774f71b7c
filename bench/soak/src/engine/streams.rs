//! Streams and tunnels of the engine.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use super::answers::{Link, Order};
use crate::fault::Fault;
use crate::payload::Payload;
use crate::random::Random;
use crate::trouble::Trouble;
use crate::wire::chunk;

/// The pause between two events.
const PAUSE: Duration = Duration::from_millis(20);

impl Link<'_> {
    /// Sends numbered events until the run ends, then the number of all.
    pub(super) fn follow(&mut self, order: &Order) -> Result<(), Trouble> {
        self.wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: \
            chunked\r\n\r\n",
        )?;
        let mut random = Random::new(order.seed, "events");
        let mut event = 0_u64;
        while !self.world.is_stopping() {
            let burst = if random.one_in(50) { 100 } else { 1 };
            for _ in 0..burst {
                let padding = "x".repeat(random.size(0, 2048));
                let line = chunk(format!("{} {event} {padding}\n", order.number).as_bytes());
                if !(self.world.makes(Fault::LostEvent) && event == 5) {
                    self.wire.send(&line)?;
                }
                if self.world.makes(Fault::DoubledEvent) && event == 5 {
                    self.wire.send(&line)?;
                }
                event += 1;
            }
            if self.world.makes(Fault::ShortStream) && event > 20 {
                return self.wire.send(chunk(b""));
            }
            std::thread::park_timeout(PAUSE);
        }
        self.wire
            .send(chunk(format!("{} end {event}\n", order.number).as_bytes()))?;
        self.wire.send(chunk(b""))
    }

    /// Carries random bytes both ways; either side may end first.
    pub(super) fn tunnel(&mut self, order: &Order) -> Result<(), Trouble> {
        self.wire.send(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: \
            application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        )?;
        let (mut up, mut down) = (
            Payload::new(order.seed, order.length),
            Payload::new(!order.seed, order.back),
        );
        let ends_first = order.mode == "engine-first";
        let mut writer = &self.second;
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut sizes = Random::new(down.left(), "tunnel");
                while down.left() > 0 {
                    if writer
                        .write_all(&down.make(sizes.size(1, 32 << 10)))
                        .is_err()
                    {
                        return;
                    }
                }
                if ends_first {
                    let _ = writer.shutdown(Shutdown::Write);
                }
            });
            let got = loop {
                match self.wire.read_some(64 << 10) {
                    Ok(some) if some.is_empty() => break Ok(()),
                    Ok(some) => up.check(&some)?,
                    Err(trouble) => break Err(trouble),
                }
            };
            let _ = writing.join();
            got
        })?;
        if up.left() == 0 && !self.world.makes(Fault::ShortTunnel) {
            self.world.arrive(order.number);
        }
        Ok(())
    }
}
