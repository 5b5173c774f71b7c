//! The stream of decisions: server-sent events (HTML Standard, section 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::AdminAccess;
use crate::telemetry::live::Subscription;

/// The interval of comments while there are no events: a write finds out that the reader is gone.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The first line: it tells the reader that decisions from now on arrive.
const BEGINNING: &[u8] = b": decisions from now on\n\n";
const COMMENT: &[u8] = b":\n\n";

/// The reasons for which a stream ends.
#[derive(Clone, Debug)]
pub(super) struct StreamEnd {
    /// Becomes true when the listener ends.
    pub(super) listener: watch::Receiver<bool>,
    /// Changes when other clients are admitted than before, so that the reader may not be one.
    pub(super) access: watch::Receiver<AdminAccess>,
}

/// The body of an answer that sends decisions.
pub(super) struct EventStream {
    /// The next part of the body; `None` at the end.
    next: Pin<Box<dyn Future<Output = (Feed, Option<Bytes>)> + Send>>,
}

/// The source of a stream.
struct Feed {
    subscription: Subscription,
    end: StreamEnd,
    /// The stream ends after the events that are sent now.
    is_over: bool,
}

impl EventStream {
    /// Begins a stream with the decisions of a subscription.
    pub(super) fn new(subscription: Subscription, end: StreamEnd) -> Self {
        let feed = Feed {
            subscription,
            end,
            is_over: false,
        };
        Self {
            next: Box::pin(async { (feed, Some(Bytes::from_static(BEGINNING))) }),
        }
    }
}

impl Feed {
    /// Waits for the next part.
    async fn wait_for_part(mut self) -> (Self, Option<Bytes>) {
        if self.is_over {
            return (self, None);
        }
        let StreamEnd { listener, access } = &mut self.end;
        // A sender that is gone is an end as well.
        let part = tokio::select! {
            biased;
            _ = access.changed() => None,
            _ = listener.wait_for(|is_ended| *is_ended) => {
                self.is_over = true;
                Some(self.subscription.waiting_events().into())
            }
            events = self.subscription.next_events() => events.map(Bytes::from),
            () = sleep(HEARTBEAT) => Some(Bytes::from_static(COMMENT)),
        };
        (self, part)
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (feed, part) = ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(feed.wait_for_part());
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }
}
