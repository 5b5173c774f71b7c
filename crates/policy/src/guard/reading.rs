//! Reads the query and the body of a call, and has each part judged.

use super::case::Content;
use super::creation;
use super::form::{Form, walk};
use super::json::Json;
use super::judge::{Judge, TakenStep};
use super::query::{self, Pairs};
use super::{BodyKind, EndpointReader, Guard, Objection, check_stream, is_json};
use crate::request::call::Call;

impl EndpointReader {
    /// Judges query and body. A missing content type is `None`.
    pub(super) fn read<'a, 'g: 'a>(
        &self,
        judge: &mut Judge<'g>,
        call: &Call,
        content_type: Option<&str>,
        body: &'a [u8],
    ) -> Result<(Call, Content<'a>), Objection> {
        let (judged, pairs) = query::judge_parameters(
            judge,
            call,
            self.parameters,
            matches!(self.body, BodyKind::Json(_)),
        );
        if let Some(check) = self.pairs {
            check(judge, &judged, &pairs);
        }
        let judged = judge.stamp_query(judged);
        let content = match &self.body {
            BodyKind::Stream => {
                check_stream(content_type)?;
                if let Some(whole) = self.whole {
                    whole(judge, &Json::Null);
                }
                Content::Own
            }
            BodyKind::Nothing => {
                // Clients send an empty object to endpoints that take no body; the engine need not
                // see it.
                if !is_blank(body) && !Json::read(body).map_err(Objection::Malformed)?.is_empty() {
                    judge.refuse("this endpoint takes no body".to_owned(), None);
                }
                Content::Nothing
            }
            BodyKind::Json(form) => {
                check_json(call, content_type, body)?;
                self.read_json(judge, call, form, &pairs, body)?
            }
        };
        Ok((judged, content))
    }

    /// Judges a body of JSON, and fills in the values that the profile sets.
    fn read_json<'a, 'g: 'a>(
        &self,
        judge: &mut Judge<'g>,
        call: &Call,
        form: &Form,
        pairs: &Pairs,
        body: &'a [u8],
    ) -> Result<Content<'a>, Objection> {
        let is_blank = is_blank(body);
        // An empty body stays empty for the engine.
        let text: &[u8] = if is_blank { b"{}" } else { body };
        let mut json = Json::read(text).map_err(Objection::Malformed)?;
        // Go leaves the zero value for a `null`.
        if json == Json::Null {
            json = Json::Map(Vec::new());
        }
        if let Some(endpoint) = call.endpoint() {
            judge.rewritten = judge.guard.rewrite_images_of_body(endpoint.id, &mut json);
        }
        judge.clear_labels_of_platforms(call, pairs, &mut json);
        walk(judge, &mut json, form);
        let guard: &'g Guard = judge.guard;
        if let (Some(creation), Some(endpoint)) = (&guard.creation, call.endpoint()) {
            // The engine refuses a body that the client did not send.
            if !is_blank {
                creation::fill(creation, endpoint.id, &mut json);
            }
            creation::judge(judge, creation, endpoint.id, pairs, &json);
        }
        if let Some(whole) = self.whole {
            whole(judge, &json);
        }
        judge.look_up_created_volume(call, &json);
        judge.stamp_body(call, &mut json);
        judge.forbid_duplicate(call, &mut json);
        if is_blank && judge.stamps_body(call) {
            judge.malformed("send a JSON object, to which labels are added".to_owned());
        }
        Ok(if judge.guard.withholds_body(call) {
            // An engine that looks for credentials there refuses a push without a body.
            Content::Json(Json::Map(Vec::new()))
        } else if is_blank {
            Content::Nothing
        } else {
            Content::Json(json)
        })
    }
}

/// Finds the value at a place of a body.
pub(super) fn at_mut<'j, 'b>(
    json: &'j mut Json<'b>,
    place: &[TakenStep],
) -> Option<&'j mut Json<'b>> {
    place
        .iter()
        .try_fold(json, |value, step| match (step, value) {
            (TakenStep::Field(name), value) => value.get_mut(name),
            (TakenStep::Key(name), value) => value.get_mut(name),
            (TakenStep::Index(index), Json::List(list)) => list.get_mut(*index),
            _ => None,
        })
}

/// Returns whether a body has nothing but blanks.
fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

/// Refuses a body whose content type is not JSON.
fn check_json(call: &Call, content_type: Option<&str>, body: &[u8]) -> Result<(), Objection> {
    // Podman's client sends no content type; Docker refuses a body without one, as pages in
    // browsers send it.
    let may_be_silent = call
        .endpoint()
        .is_some_and(crate::endpoint::Endpoint::is_libpod);
    let is_typed = match content_type {
        Some(_) => is_json(content_type),
        None => may_be_silent,
    };
    if is_typed || is_blank(body) {
        Ok(())
    } else {
        Err(Objection::ContentType("application/json"))
    }
}

/// Refuses a form in place of a body that is not judged: Go prefers its fields to the parameters of
/// the query.
pub(super) fn check_form(content_type: Option<&str>) -> Result<(), Objection> {
    let kind = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    match kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        true => Err(Objection::ContentType(
            "anything but a form: the engine would read its fields as parameters",
        )),
        false => Ok(()),
    }
}
