//! What a user signs in with, as far as anyone is told: which keys there are, not what they are.

use aws_sdk_iam::types::EncodingType;
use serde_json::Value;

use crate::source::aws::call::{Refusal, ask, list, or_absent};
use crate::source::aws::iam::authorization::next_marker;
use crate::source::aws::iam::{ABSENT, Asked};
use crate::source::aws::listing::{in_full, sorted};
use crate::source::estate::Stopped;

const PATH: &str = "users.json";

impl Asked<'_> {
    /// Puts the credentials of a user beside what is known of it.
    pub(super) async fn add_credentials(&self, name: &str, user: &mut Value) -> Result<(), Stopped> {
        let keys = list!(&self.calls, "ListAccessKeys", next_marker, "/AccessKeyMetadata", |marker| {
            self.client.list_access_keys().user_name(name).set_marker(marker)
        });
        self.add(user, "AccessKeys", ordered(keys.await, "/AccessKeyId")).await?;
        let profile = self.client.get_login_profile().user_name(name);
        let profile = or_absent(ask!(self.calls, "GetLoginProfile", profile).await, ABSENT);
        self.add(user, "LoginProfile", profile.map(|mut answer| answer["LoginProfile"].take())).await?;
        let devices = list!(&self.calls, "ListMFADevices", next_marker, "/MFADevices", |marker| {
            self.client.list_mfa_devices().user_name(name).set_marker(marker)
        });
        self.add(user, "MFADevices", ordered(devices.await, "/SerialNumber")).await?;
        self.add_ssh_keys(name, user).await?;
        let next = next_marker;
        let credentials =
            list!(&self.calls, "ListServiceSpecificCredentials", next, "/ServiceSpecificCredentials", |marker| {
                self.client.list_service_specific_credentials().user_name(name).set_marker(marker)
            });
        let credentials = ordered(credentials.await, "/ServiceSpecificCredentialId");
        self.add(user, "ServiceSpecificCredentials", credentials).await?;
        let certificates = list!(&self.calls, "ListSigningCertificates", next_marker, "/Certificates", |marker| {
            self.client.list_signing_certificates().user_name(name).set_marker(marker)
        });
        self.add(user, "SigningCertificates", ordered(certificates.await, "/CertificateId")).await
    }

    async fn add_ssh_keys(&self, name: &str, user: &mut Value) -> Result<(), Stopped> {
        let keys = list!(&self.calls, "ListSSHPublicKeys", next_marker, "/SSHPublicKeys", |marker| {
            self.client.list_ssh_public_keys().user_name(name).set_marker(marker)
        });
        let key = |id: String| async move {
            let request = self.client.get_ssh_public_key().user_name(name).ssh_public_key_id(id);
            let answer = ask!(self.calls, "GetSSHPublicKey", request.encoding(EncodingType::Ssh)).await;
            answer.map(|mut answer| answer["SSHPublicKey"].take())
        };
        if let Some(keys) = in_full(self.sink, PATH, keys.await, "/SSHPublicKeyId", key).await? {
            user["SSHPublicKeys"] = Value::Array(keys);
        }
        Ok(())
    }

    async fn add(&self, user: &mut Value, name: &str, what: Result<Value, Refusal>) -> Result<(), Stopped> {
        match what {
            Ok(value) => {
                user[name] = value;
                Ok(())
            }
            Err(refusal) => self.sink.gap(PATH, refusal.into_problem()).await,
        }
    }
}

fn ordered(items: Result<Vec<Value>, Refusal>, by: &str) -> Result<Value, Refusal> {
    items.map(|items| sorted(items, by))
}
