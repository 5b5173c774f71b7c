//! Rules that depend on the engine's name for an object. A client can refer to a container by its
//! name, by its identifier or the first digits of the identifier, by a link, and by a command that
//! runs in it.

use std::sync::Arc;

use crate::decide::{Ground, Permit, STRANGERS, Verdict, find_rule_for_object};
use crate::denial::{Denial, DenialReason};
use crate::endpoint::{Endpoint, EndpointId, ObjectKind};
use crate::guard::{Finding, Objection};
use crate::identity::profile::Profile;
use crate::object::{Detail, Object};
use crate::request::call::Call;
use crate::rule::Rule;

/// The object on which a permit still depends. The call may not be sent before the engine has
/// described it.
#[derive(Debug)]
pub(crate) struct Pending {
    kind: ObjectKind,
    /// The client's word for it.
    word: String,
    /// The reason why no answer of the engine can help, if there is one.
    hopeless: Option<&'static str>,
}

/// The result for a call whose object the engine did not describe.
const UNTOLD: &str = "the engine has to tell which object this call is about, since a rule denies \
    or allows some by name, and it did not";
const NO_OBJECT: &str = "a rule denies or allows this call for some objects by name, and the call \
    does not name one alone";
const DEPENDENTS: &str = "this call also removes containers that depend on this one, and a rule \
    denies that for some; remove those first";
const NAMELESS: &str = "the engine does not tell the identifier of the object, and a rule denies \
    or allows some by name";

/// The number of digits of an identifier that clients show.
const SHORT_ID: usize = 12;

impl Pending {
    /// Returns the object that the engine has to describe for the rules; `None` if it makes no
    /// difference to them.
    pub(crate) fn for_call(call: &Call, granting: &Rule, profile: &Profile) -> Option<Box<Self>> {
        let makes_difference = profile.rules.may_deny_object(call)
            || depends_on_object(granting, call)
            || may_mean_longer_name(granting, call);
        if !makes_difference {
            return None;
        }
        let removes = call
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == EndpointId::LibpodContainerRemove);
        let takes_dependents = removes && call.turns_on("depend");
        let (kind, word) = call
            .object()
            .map_or((ObjectKind::Container, String::new()), |(kind, word)| {
                (kind, word.into())
            });
        // The word becomes a part of a path: it must not lead to another one.
        let is_plain = word.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_word = is_plain && word.len() <= 512 && !word.contains(char::is_control);
        let hopeless = match (takes_dependents, is_word) {
            (true, _) => Some(DEPENDENTS),
            (false, false) => Some(NO_OBJECT),
            (false, true) => None,
        };
        Some(Box::new(Self {
            kind,
            word,
            hopeless,
        }))
    }

    /// Returns a pending container by the client's word for it.
    pub(crate) fn container(word: &str) -> Box<Self> {
        Box::new(Self {
            kind: ObjectKind::Container,
            word: word.to_owned(),
            hopeless: None,
        })
    }

    /// Returns the objection to a call that is to be sent although its object is not known.
    pub(crate) fn objection(&self) -> Objection {
        let what = self.hopeless.unwrap_or(UNTOLD).to_owned();
        Objection::Findings(vec![Finding {
            field: String::new(),
            what,
            allow: None,
            instead: &[],
        }])
    }
}

impl Permit {
    /// Returns the object that the engine has to describe before the rules have decided: its kind,
    /// and the client's word for it.
    #[must_use]
    pub fn question(&self) -> Option<(ObjectKind, &str)> {
        let pending = self
            .pending
            .as_deref()
            .filter(|pending| pending.hopeless.is_none())?;
        Some((pending.kind, &pending.word))
    }

    /// Decides once more with the engine's description of the object. The permitted call has the
    /// full identifier, so that the judged object is the one that the engine acts on.
    pub fn answer(mut self, object: &Object, profile: &Profile) -> Verdict {
        let Some(pending) = self
            .pending
            .as_deref_mut()
            .filter(|pending| pending.hopeless.is_none())
        else {
            return Verdict::Allow(self);
        };
        if object.id.is_empty() {
            pending.hopeless = Some(NAMELESS);
            return Verdict::Allow(self);
        }
        if let (ObjectKind::Exec, Detail::Exec { container, .. }) = (pending.kind, &object.detail) {
            // Rules are about the container in which the command runs.
            (pending.kind, pending.word) = (ObjectKind::Container, container.clone());
            pending.hopeless = container.is_empty().then_some(NAMELESS);
            self.call = self.call.with_captured(&object.id);
            return Verdict::Allow(self);
        }
        let can_build = crate::advice::buildkit::can_be_opened(&profile.guard);
        let refused = |call: Call, reason| {
            Verdict::Deny(Denial {
                missing_half: crate::advice::exec::find_missing_half(&call, profile),
                call,
                reason,
                can_build,
                profile: profile.name.clone(),
                needs_rule: false,
                is_unmatched: false,
            })
        };
        if let Some(rule) = find_denying_rule_for_object(&self.call, object, profile) {
            return refused(self.call, DenialReason::Denied { rule });
        }
        // Patterns are matched with the path: of a volume, with its whole name in place of the
        // beginning by which the client may call it.
        let meant = match object.detail {
            Detail::Volume { .. } => self.call.with_captured(&object.name),
            _ => self.call.clone(),
        };
        let granted = [Some(object.name.as_str()), object.alias()]
            .into_iter()
            .flatten()
            .find_map(|name| find_rule_for_object(&meant, name, profile));
        match granted {
            Some(rule) => self.ground = Ground::Rule(rule),
            None if self.is_granted_by_word() => {}
            None => return refused(self.call, DenialReason::NoRule),
        }
        let is_command = self
            .call
            .captured()
            .is_some_and(|captured| captured.kind == ObjectKind::Exec);
        // A link is removed by its own name, and only its container has an identifier.
        if !is_command && !self.call.removes_a_link() {
            self.call = self.call.with_object(&object.id);
        }
        self.pending = None;
        Verdict::Allow(self)
    }

    /// Returns whether the rule that grants the call does so by the client's word for the object
    /// alone.
    fn is_granted_by_word(&self) -> bool {
        let Ground::Rule(rule) = &self.ground else {
            return false;
        };
        !depends_on_object(rule, &self.call) && !may_mean_longer_name(rule, &self.call)
    }
}

/// Returns whether the client's word may be the beginning of another object's name, and the rule is
/// about some names alone. Podman takes the beginning of a volume's name for the volume, unless
/// another one has that very name (`LookupVolume`): a rule for the volume `data` must not open
/// `data-of-others`. The engine's answer to an inspection is about that very name.
fn may_mean_longer_name(granting: &Rule, call: &Call) -> bool {
    let names_volume = call
        .captured()
        .is_some_and(|captured| captured.kind == ObjectKind::Volume);
    let inspects = || call.endpoint().is_some_and(Endpoint::inspects);
    let is_about_all = || {
        STRANGERS.iter().all(|name| {
            let other = call.with_captured(name);
            granting.matches_path(other.path(), other.version_prefix().len())
        })
    };
    names_volume && !inspects() && !is_about_all()
}

fn depends_on_object(rule: &Rule, call: &Call) -> bool {
    // Most rules are patterns, and need not be matched again.
    if !rule.is_by_name() {
        return false;
    }
    if rule.matches(call) {
        rule.depends_on_object(call)
    } else {
        rule.depends_on_object(&call.as_get())
    }
}

/// Returns the rule that denies a call about an object, by any word that a rule can have for it.
fn find_denying_rule_for_object(
    call: &Call,
    object: &Object,
    profile: &Profile,
) -> Option<Arc<Rule>> {
    let is_command = call
        .captured()
        .is_some_and(|captured| captured.kind == ObjectKind::Exec);
    let short = object.id.get(..SHORT_ID).unwrap_or_default();
    let words = [
        object.name.as_str(),
        object.id.as_str(),
        short,
        object.possible_alias().unwrap_or_default(),
    ];
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .find_map(|word| {
            let by_name = profile.rules.denial_of_object(call, word);
            by_name
                .or_else(|| {
                    if is_command {
                        None
                    } else {
                        profile.rules.denial(&call.with_object(word))
                    }
                })
                .cloned()
        })
}

impl Call {
    /// Returns whether the call removes a link by its name, and not the container behind it.
    pub(crate) fn removes_a_link(&self) -> bool {
        let removes = self
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == EndpointId::ContainerRemove);
        let is_true = |value: String| {
            !matches!(
                value.trim().to_ascii_lowercase().as_str(),
                "" | "0" | "no" | "false" | "none"
            )
        };
        // The name of a link begins with the name of its container.
        let names_link = self
            .captured()
            .is_some_and(|captured| captured.word.trim_matches('/').contains('/'));
        removes && names_link && self.only_parameter("link").is_some_and(is_true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::identity::profile::Mode;
    use crate::rule::{RuleSet, parse};

    const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

    fn profile(rules: &str) -> Profile {
        let rules =
            RuleSet::new(parse("t", rules).unwrap_or_else(|mistakes| panic!("{}", mistakes[0])));
        let (name, limits, guard) = (
            "p".to_owned(),
            crate::ClientLimits::default(),
            Arc::default(),
        );
        Profile {
            name,
            rules,
            limits,
            guard,
            targets: Arc::default(),
            mode: Mode::Enforce,
            recreation: None,
            ..Profile::default()
        }
    }

    fn object(name: &str) -> Object {
        Object {
            id: ID.to_owned(),
            name: name.to_owned(),
            ..Object::default()
        }
    }

    /// Decides as a journey does, with an engine whose one container has this name. Shows what is
    /// sent, or why not.
    fn outcome(rules: &str, request: &str, name: &str) -> String {
        let profile = profile(rules);
        let (method, target) = request.split_once(' ').expect("METHOD TARGET");
        let mut verdict = decide(Call::read(method, target).expect(target), &profile);
        if let Verdict::Deny(denial) = verdict {
            let is_asked = denial.identifier().is_some() && profile.rules.name_objects();
            verdict = if is_asked {
                denial.decide_by_name(&object(name), &profile)
            } else {
                Verdict::Deny(denial)
            };
        }
        loop {
            match verdict {
                Verdict::Deny(denial) => return denial.reason.kind().word().to_owned(),
                Verdict::Allow(permit) => match permit.question() {
                    None => {
                        let is_held = permit.pending.is_some();
                        return if is_held {
                            "held".to_owned()
                        } else {
                            permit.call().target()
                        };
                    }
                    Some((ObjectKind::Exec, word)) => {
                        let (container, word) = (ID.to_owned(), word.to_owned());
                        let detail = Detail::Exec {
                            container,
                            privileged: false,
                            user: String::new(),
                            command: Vec::new(),
                        };
                        verdict = permit.answer(
                            &Object {
                                id: word,
                                detail,
                                ..Object::default()
                            },
                            &profile,
                        );
                    }
                    Some(_) => verdict = permit.answer(&object(name), &profile),
                },
            }
        }
    }

    /// Whatever a client calls a container, a denial by name holds; and so does one by pattern.
    #[test]
    fn a_denial_finds_its_container() {
        for denial in [
            "DENY container.stop(db)",
            "DENY container.*(db)",
            "DENY libpod.container.stop(d*)",
            "DENY container.kill, container.stop(web, db)",
            "DENY POST %API_PREFIX_CONTAINERS%/db/stop\nDENY POST \
            %API_PREFIX_LIBPOD_CONTAINERS%/db/stop",
            "DENY POST .*/db/.*",
            "DENY POST .*/(db|x)/stop",
            &format!("DENY container.stop({ID})"),
            "DENY container.stop(4f1e6c2b9d7a)",
        ] {
            for allowing in [
                "POST .*",
                "ALLOW container.stop, libpod.container.stop",
                "ALLOW change",
            ] {
                // A denial holds wherever it stands.
                for rules in [
                    format!("{denial}\n{allowing}"),
                    format!("{allowing}\n{denial}"),
                ] {
                    for word in [
                        "db",
                        ID,
                        "4f1e6c2b9d7a",
                        "4f1",
                        "web/db",
                        "%64b",
                        "/db",
                        "db%2f..%2fdb",
                    ] {
                        for path in [
                            "/containers",
                            "/v1.43/containers",
                            "/v01.43/containers",
                            "/v5.0.0/libpod/containers",
                        ] {
                            // Podman's own paths take no slash in a name.
                            if path.contains("libpod") && word == "web/db" {
                                continue;
                            }
                            let request = format!("POST {path}/{word}/stop");
                            assert_eq!(
                                outcome(&rules, &request, "db"),
                                "deny_rule",
                                "{rules} ← {request}"
                            );
                        }
                    }
                    let other = outcome(&rules, "POST /v1.43/containers/0f/stop", "web-2");
                    if !denial.contains("4f1e") {
                        assert_eq!(other, format!("/v1.43/containers/{ID}/stop"), "{rules}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_denial_is_not_about_passes_without_a_question() {
        let rules =
            "GET,POST .*\nDENY container.stop(db)\nDENY POST %API_PREFIX_CONTAINERS%/db/restart";
        for request in [
            "POST /containers/db/start",
            "GET /containers/db/json",
            "POST /volumes/create",
        ] {
            let (method, target) = request.split_once(' ').expect("METHOD TARGET");
            let Verdict::Allow(permit) =
                decide(Call::read(method, target).expect(target), &profile(rules))
            else {
                panic!("{request} is refused")
            };
            assert!(
                permit.question().is_none() && permit.pending.is_none(),
                "{request}"
            );
        }
    }

    #[test]
    fn a_rule_about_an_object_means_what_the_engine_calls_so() {
        const STOPS: &str = "ALLOW container.stop(ab*)";
        for (rules, request, name, want) in [
            (
                STOPS,
                "POST /containers/abel/stop",
                "abel",
                &*format!("/containers/{ID}/stop"),
            ),
            (
                STOPS,
                "POST /containers/4f1e/stop",
                "abel",
                &format!("/containers/{ID}/stop"),
            ),
            // An identifier that looks like such a name, or the link of another container.
            (STOPS, "POST /containers/abc/stop", "db", "no_rule"),
            (STOPS, "POST /containers/ab/db/stop", "db", "no_rule"),
            (STOPS, "POST /containers/web/stop", "web", "no_rule"),
            (STOPS, "POST /containers/abel/start", "abel", "no_rule"),
            (
                "ALLOW container.stop(ab*)\nPOST .*",
                "POST /containers/abc/stop",
                "db",
                &format!("/containers/{ID}/stop"),
            ),
            (
                "ALLOW container.commit(web)",
                "POST /commit?container=4f1e",
                "web",
                "no_rule",
            ),
            (
                "ALLOW container.commit(web)",
                "POST /commit?container=web&tag=x",
                "web",
                &format!("/commit?container={ID}&tag=x"),
            ),
            (
                "POST .*\nDENY container.commit(web)",
                "POST /commit?container=4f1e",
                "web",
                "deny_rule",
            ),
            (
                "POST .*\nDENY container.commit(web)",
                "POST /commit?container=a&container=b",
                "web",
                "held",
            ),
            (
                "POST .*\nDENY container.commit(web)",
                "POST /commit",
                "web",
                "held",
            ),
            (
                "POST .*\nDENY container.commit(web)",
                "POST /commit?container=..",
                "web",
                "held",
            ),
            (
                "ALLOW exec.start(web)",
                "POST /exec/e1/start",
                "web",
                "/exec/e1/start",
            ),
            (
                "ALLOW exec.start(web)",
                "POST /exec/e1/start",
                "db",
                "no_rule",
            ),
            (
                "POST .*\nDENY exec.*(db)",
                "POST /exec/e1/start",
                "db",
                "deny_rule",
            ),
            (
                "POST .*\nDENY exec.*(db)",
                "POST /exec/e1/start",
                "web",
                "/exec/e1/start",
            ),
            (
                "POST .*\nDENY exec.*(db)",
                "POST /containers/4f1e/exec",
                "db",
                "deny_rule",
            ),
            (
                "DELETE .*\nDENY container.remove(db)",
                "DELETE /containers/web/db?link=1",
                "web",
                "/containers/web/db?link=1",
            ),
            (
                "DELETE .*\nDENY container.remove(db)",
                "DELETE /v5.0.0/libpod/containers/a?depend=true",
                "web",
                "held",
            ),
            (
                "ALLOW libpod.container.remove(web*)\nDENY container.remove(db)",
                "DELETE /v5.0.0/libpod/containers/4f1e?depend=true",
                "web",
                "held",
            ),
            (
                "DELETE %API_PREFIX_LIBPOD_CONTAINERS%/web.*\nDENY container.remove(db)",
                "DELETE /v5.0.0/libpod/containers/4f1e?depend=true",
                "web",
                "held",
            ),
            (
                "DELETE .*\nDENY DELETE %API_PREFIX_LIBPOD_VOLUMES%/data",
                "DELETE /v5.0.0/libpod/volumes/dat",
                "data",
                "deny_rule",
            ),
            (
                "GET .*\nDENY libpod.kube.generate",
                "GET /v5.0.0/libpod/generate/kube?names=db",
                "web",
                "deny_rule",
            ),
            (
                "DELETE .*\nDENY container.remove(db)",
                "DELETE /v5.0.0/libpod/containers/a?depend=false",
                "web",
                &format!("/v5.0.0/libpod/containers/{ID}?depend=false"),
            ),
            (
                "GET .*\nDENY container.stats(db)",
                "GET /v5.0.0/libpod/containers/stats?containers=4f1e",
                "web",
                "deny_rule",
            ),
            (
                "GET .*\nDENY container.inspect(db)",
                "HEAD /containers/4f1e/json",
                "db",
                "deny_rule",
            ),
            (
                "ALLOW container.inspect(db)",
                "HEAD /containers/4f1e/json",
                "db",
                &format!("/containers/{ID}/json"),
            ),
            (
                "ALLOW container.inspect(db)",
                "HEAD /containers/db/json",
                "db",
                &format!("/containers/{ID}/json"),
            ),
            (
                "GET .*\nDENY network.inspect(back)",
                "GET /networks/4f1e",
                "back",
                "deny_rule",
            ),
            (
                "GET .*\nDENY GET %API_PREFIX_NETWORKS%/back",
                "GET /v1.43/networks/4f1e",
                "back",
                "deny_rule",
            ),
            (
                "GET .*\nDENY volume.inspect(data)",
                "GET /volumes/data",
                "data",
                "deny_rule",
            ),
        ] {
            assert_eq!(
                outcome(rules, request, name),
                want,
                "{rules} ← {request} ({name})"
            );
        }
    }

    #[test]
    fn nothing_is_sent_before_the_engine_has_told() {
        let profile = profile("POST .*\nDENY container.stop(db)");
        let call = Call::read("POST", "/containers/4f1e/stop").expect("plain");
        let Verdict::Allow(permit) = decide(call, &profile) else {
            panic!("refused")
        };
        assert_eq!(permit.question(), Some((ObjectKind::Container, "4f1e")));
        assert!(permit.cleared().is_none() && permit.waived(b"").is_none());
        assert!(
            permit
                .open(None, b"", crate::guard::Surroundings::default())
                .is_err()
        );
        // An object without an identifier cannot be sent as what was judged.
        let Verdict::Allow(permit) = permit.answer(
            &Object {
                id: String::new(),
                ..object("web")
            },
            &profile,
        ) else {
            panic!("refused")
        };
        assert!(permit.question().is_none() && permit.cleared().is_none());
        assert!(
            permit
                .open(None, b"", crate::guard::Surroundings::default())
                .is_err()
        );
    }
}
