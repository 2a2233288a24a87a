//! Settings in the environment and in the AWS configuration files that the SDK passes over. Main function: [`told`].
//!
//! `doctor` shows it, because an SDK that passes over a setting says nothing, and AWS's refusal does not name the
//! setting. It looks for what is known to be missing (docs/aws.md, "Credentials and the network") and judges nothing
//! else; it never decides which credentials are used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The names that reach the metadata services of EC2, of ECS and of EKS.
const METADATA: [&str; 3] = ["169.254.169.254", "169.254.170.2", "169.254.170.23"];

/// Something that a person who runs `doctor` should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The setting that was found, in words.
    pub(crate) found: String,
    /// The next step of a person; `None` where none is needed.
    pub(crate) advice: Option<String>,
    /// There can be no credentials as it is.
    pub(crate) hinders: bool,
}

/// What is to be told of this process's environment.
pub(crate) fn told() -> Vec<Told> {
    let variable = |name: &str| std::env::var(name).ok();
    let home = || Some(PathBuf::from(variable("HOME")?).join(".aws"));
    let file = |name: &str, default: &str| {
        let path = variable(name).map(PathBuf::from).or_else(|| Some(home()?.join(default)))?;
        std::fs::read_to_string(path).ok()
    };
    let mut profiles = Profiles::default();
    profiles.read(&file("AWS_CONFIG_FILE", "config").unwrap_or_default(), Kind::Config);
    profiles.read(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default(), Kind::Credentials);
    told_of(&variable, &profiles)
}

fn told_of(variable: &dyn Fn(&str) -> Option<String>, profiles: &Profiles) -> Vec<Told> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let mut all = Vec::new();
    let profile = set("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let of_environment = set("AWS_ACCESS_KEY_ID").is_some();
    if !of_environment {
        all.extend(profiles.told(&profile));
    }
    let setting = |key: &str| profiles.value(&profile, key);
    if set("AWS_CA_BUNDLE").is_some() || setting("ca_bundle").is_some() {
        all.push(Told {
            found: "AWS_CA_BUNDLE or `ca_bundle` names certificates, and the AWS SDK for Rust reads neither".to_owned(),
            advice: Some("set SSL_CERT_FILE to a file with all certificates that are to be trusted".to_owned()),
            hinders: false,
        });
    }
    let either = |names: [&str; 2]| names.into_iter().find_map(set);
    let everything = either(["ALL_PROXY", "all_proxy"]);
    if let Some(proxy) = either(["HTTPS_PROXY", "https_proxy"]).or_else(|| everything.clone()) {
        all.push(Told {
            found: format!("calls to AWS go through the proxy {}", masked(&proxy)),
            advice: None,
            hinders: false,
        });
    }
    let plain = either(["HTTP_PROXY", "http_proxy"]).or(everything);
    let open = either(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let is_open = |name: &&str| open.split(',').any(|of| matches!(of.trim(), "*") || of.trim() == *name);
    let asks_metadata = !of_environment && !profiles.has_credentials(&profile);
    if plain.is_some() && asks_metadata && !METADATA.iter().all(is_open) {
        all.push(Told {
            found: "HTTP_PROXY also holds for the metadata services, from which a role of EC2, ECS or EKS comes"
                .to_owned(),
            advice: Some(format!("add {} to NO_PROXY", METADATA.join(","))),
            hinders: false,
        });
    }
    all
}

/// A URL without what may be a password.
fn masked(url: &str) -> String {
    match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, host)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}***@{host}")
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `~/.aws/config`: `[profile NAME]`, `[default]`.
    Config,
    /// `~/.aws/credentials`: `[NAME]`.
    Credentials,
}

/// The settings of each profile, of both files.
#[derive(Default)]
struct Profiles(BTreeMap<String, BTreeMap<String, String>>);

impl Profiles {
    /// Takes in a file. Source of the form: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
    fn read(&mut self, text: &str, kind: Kind) {
        let mut profile = None;
        for line in text.lines() {
            // An indented line belongs to the value before it.
            if line.starts_with(char::is_whitespace) || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(section) = line.trim_end().strip_prefix('[').and_then(|line| line.split(']').next()) {
                let mut words = section.split_whitespace();
                profile = match (kind, words.next(), words.next()) {
                    (Kind::Config, Some("profile"), Some(name)) => Some(name.to_owned()),
                    (Kind::Config, Some("default"), None) | (Kind::Credentials, Some(_), None) => {
                        Some(section.trim().to_owned())
                    }
                    (Kind::Config | Kind::Credentials, _, _) => None,
                };
                continue;
            }
            if let (Some(profile), Some((key, value))) = (&profile, line.split_once('=')) {
                let value =
                    [" #", " ;"].into_iter().fold(value, |value, mark| value.split(mark).next().unwrap_or_default());
                let settings = self.0.entry(profile.clone()).or_default();
                settings.insert(key.trim().to_lowercase(), value.trim().to_owned());
            }
        }
    }

    fn value(&self, profile: &str, key: &str) -> Option<&str> {
        self.0.get(profile)?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a profile names a source of its own.
    fn has_credentials(&self, profile: &str) -> bool {
        let sources =
            ["aws_access_key_id", "role_arn", "sso_session", "sso_start_url", "credential_process", "login_session"];
        sources.into_iter().any(|key| self.value(profile, key).is_some())
    }

    /// What is to be told of a profile and of those that it takes its credentials from.
    fn told(&self, first: &str) -> Vec<Told> {
        let (mut all, mut seen, mut next) = (Vec::new(), BTreeSet::new(), Some(first));
        while let Some(profile) = next.filter(|profile| seen.insert((*profile).to_owned())) {
            let export = |format: &str| format!("aws configure export-credentials --profile {first} --format {format}");
            if self.value(profile, "mfa_serial").is_some() {
                all.push(Told {
                    found: format!(
                        "profile {profile} names `mfa_serial`, and the AWS SDK for Rust asks for no code: a role or \
                         permission that wants one is refused"
                    ),
                    advice: Some(format!(
                        "let the AWS CLI ask, and run this in its environment: eval \"$({})\"",
                        export("env")
                    )),
                    hinders: false,
                });
            }
            if self.value(profile, "login_session").is_some() {
                let found = format!("profile {profile} has the session of `aws login`, which this program cannot read");
                let advice = format!("a profile with credential_process = {}", export("process"));
                all.push(Told { found, advice: Some(advice), hinders: true });
            }
            next = self.value(profile, "source_profile");
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# of the team
[default]
region = us-east-1
[profile base]
aws_access_key_id = AKIA
aws_secret_access_key = s
mfa_serial = arn:aws:iam::123456789012:mfa/ops
[profile ops]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base ; the user
s3 =
  login_session = nested
[profile console]
login_session = arn:aws:iam::123456789012:user/ops
[profile around]
role_arn = arn:aws:iam::123456789012:role/a
source_profile = around
[sso-session ops]
mfa_serial = not a profile
";

    fn found(variables: &[(&str, &str)]) -> Vec<(String, bool)> {
        let variable = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let mut profiles = Profiles::default();
        profiles.read(CONFIG, Kind::Config);
        profiles.read("[console]\nmfa_serial = m\n[profile base]\nlogin_session = x\n", Kind::Credentials);
        let told = told_of(&variable, &profiles);
        assert!(told.iter().all(|told| !told.hinders || told.advice.is_some()), "{told:?}");
        told.into_iter()
            .map(|told| (format!("{} {}", told.found, told.advice.unwrap_or_default()), told.hinders))
            .collect()
    }

    #[test]
    fn a_setting_that_the_sdk_passes_over_is_told() {
        assert_eq!(found(&[]), []);
        for (profile, words, hinders) in [("ops", "mfa_serial", false), ("base", "mfa_serial", false)] {
            let told = found(&[("AWS_PROFILE", profile)]);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].0.contains(words) && told[0].0.contains(&format!("--profile {profile} ")), "{told:?}");
            assert_eq!(told[0].1, hinders);
        }
        let console = found(&[("AWS_PROFILE", "console")]);
        assert_eq!(console.iter().map(|told| told.1).collect::<Vec<_>>(), [false, true], "{console:?}");
        assert!(console[1].0.contains("credential_process = aws configure export-credentials"), "{console:?}");
        // What the environment has comes first: no profile is asked.
        assert_eq!(found(&[("AWS_PROFILE", "console"), ("AWS_ACCESS_KEY_ID", "AKIA")]), []);
        assert_eq!(found(&[("AWS_PROFILE", "around")]), [], "a circle ends");
        assert_eq!(found(&[("AWS_PROFILE", "nobody")]), []);
    }

    #[test]
    fn a_proxy_is_named_without_its_password_and_must_let_the_metadata_services_be() {
        let told = found(&[("HTTPS_PROXY", "http://me:secret@proxy:3128"), ("AWS_ACCESS_KEY_ID", "AKIA")]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0.contains("http://***@proxy:3128") && !told[0].0.contains("secret"), "{told:?}");
        let metadata = |no_proxy: &str| found(&[("http_proxy", "http://proxy:3128"), ("NO_PROXY", no_proxy)]).len();
        assert_eq!(metadata(""), 1);
        assert_eq!(metadata("localhost, 169.254.169.254"), 1);
        assert_eq!(metadata("169.254.169.254,169.254.170.2, 169.254.170.23"), 0);
        assert_eq!(metadata("*"), 0);
        assert_eq!(found(&[("HTTP_PROXY", "http://proxy:3128"), ("AWS_PROFILE", "console")]).len(), 2, "no metadata");
    }

    #[test]
    fn certificates_that_are_not_read_are_told() {
        let told = found(&[("AWS_CA_BUNDLE", "/etc/ca.pem"), ("AWS_ACCESS_KEY_ID", "AKIA")]);
        assert!(told.len() == 1 && told[0].0.contains("SSL_CERT_FILE"), "{told:?}");
    }
}
