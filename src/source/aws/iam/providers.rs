//! Who else vouches for identities, what machines and services sign in with, and the account's own settings.

use serde_json::Value;

use crate::source::aws::call::{Refusal, ask, list, or_absent};
use crate::source::aws::document::Document;
use crate::source::aws::iam::authorization::next_marker;
use crate::source::aws::iam::policy::parse_policies;
use crate::source::aws::iam::{ABSENT, Asked};
use crate::source::aws::listing::{at, in_full, sorted};
use crate::source::estate::Stopped;

impl Asked<'_> {
    pub(super) async fn capture_providers(&self) -> Result<(), Stopped> {
        let profiles = list!(&self.calls, "ListInstanceProfiles", next_marker, "/InstanceProfiles", |marker| {
            self.client.list_instance_profiles().set_marker(marker)
        });
        // Their tags stand only where each is asked for.
        let profile = |name: String| async move {
            let request = self.client.get_instance_profile().instance_profile_name(name);
            let answer = ask!(self.calls, "GetInstanceProfile", request).await;
            answer.map(|mut answer| answer["InstanceProfile"].take())
        };
        let (path, by) = ("instance-profiles.json", "/InstanceProfileName");
        self.send_full(path, profiles.await, by, profile).await?;
        let providers = ask!(self.calls, "ListOpenIDConnectProviders", self.client.list_open_id_connect_providers());
        let providers = providers.await.map(|answer| items(answer, "OpenIDConnectProviderList"));
        let provider = |arn: String| async move {
            let request = self.client.get_open_id_connect_provider().open_id_connect_provider_arn(&arn);
            ask!(self.calls, "GetOpenIDConnectProvider", request).await.map(|answer| named(answer, arn))
        };
        self.send_full("oidc-providers.json", providers, "/Arn", provider).await?;
        let providers = ask!(self.calls, "ListSAMLProviders", self.client.list_saml_providers()).await;
        let providers = providers.map(|answer| items(answer, "SAMLProviderList"));
        let provider = |arn: String| async move {
            let request = self.client.get_saml_provider().saml_provider_arn(&arn);
            ask!(self.calls, "GetSAMLProvider", request).await.map(|answer| named(answer, arn))
        };
        self.send_full("saml-providers.json", providers, "/Arn", provider).await?;
        let next = next_marker;
        let certificates =
            list!(&self.calls, "ListServerCertificates", next, "/ServerCertificateMetadataList", |marker| {
                self.client.list_server_certificates().set_marker(marker)
            });
        let certificate = |name: String| async move {
            let request = self.client.get_server_certificate().server_certificate_name(name);
            let answer = ask!(self.calls, "GetServerCertificate", request).await;
            answer.map(|mut answer| answer["ServerCertificate"].take())
        };
        self.send_full("server-certificates.json", certificates.await, "/ServerCertificateName", certificate).await
    }

    async fn send_full<F>(
        &self,
        path: &str,
        items: Result<Vec<Value>, Refusal>,
        by: &str,
        ask: impl Fn(String) -> F,
    ) -> Result<(), Stopped>
    where
        F: Future<Output = Result<Value, Refusal>>,
    {
        let Some(items) = in_full(self.sink, path, items, by, ask).await? else { return Ok(()) };
        let mut items = Value::Array(items);
        parse_policies(&mut items);
        self.sink.document(path, &items).await
    }

    pub(super) async fn capture_account(&self) -> Result<(), Stopped> {
        let mut account = Document::new(self.sink, "account.json");
        let aliases = list!(&self.calls, "ListAccountAliases", next_marker, "/AccountAliases", |marker| {
            self.client.list_account_aliases().set_marker(marker)
        });
        account.part("AccountAliases", aliases.await.map(Value::Array)).await?;
        let policy = ask!(self.calls, "GetAccountPasswordPolicy", self.client.get_account_password_policy()).await;
        let policy = or_absent(policy, ABSENT).map(|mut answer| answer["PasswordPolicy"].take());
        account.part("PasswordPolicy", policy).await?;
        let summary = ask!(self.calls, "GetAccountSummary", self.client.get_account_summary()).await;
        account.part("SummaryMap", summary.map(|mut answer| answer["SummaryMap"].take())).await?;
        let devices = list!(&self.calls, "ListVirtualMFADevices", next_marker, "/VirtualMFADevices", |marker| {
            self.client.list_virtual_mfa_devices().set_marker(marker)
        });
        let mut devices = devices.await;
        for device in devices.iter_mut().flatten() {
            let tags = list!(&self.calls, "ListMFADeviceTags", next_marker, "/Tags", |marker| {
                self.client.list_mfa_device_tags().serial_number(at(device, "/SerialNumber")).set_marker(marker)
            });
            match tags.await {
                Ok(tags) => device["Tags"] = sorted(tags, "/Key"),
                Err(refusal) => self.sink.gap("account.json", refusal.into_problem()).await?,
            }
        }
        account.part("VirtualMFADevices", devices.map(|devices| sorted(devices, "/SerialNumber"))).await?;
        account.send().await
    }
}

/// The items of a list that comes in one piece.
fn items(mut answer: Value, member: &str) -> Vec<Value> {
    match answer[member].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// What does not tell its own name, with it.
fn named(mut answer: Value, arn: String) -> Value {
    answer["Arn"] = arn.into();
    answer
}
