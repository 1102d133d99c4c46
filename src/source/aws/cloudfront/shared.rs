//! What distributions share: policies, access controls and identities, keys, log configurations, and the rest of an
//! account that belongs to no distribution.

use aws_sdk_cloudfront::types::{CachePolicyType, OriginRequestPolicyType, ResponseHeadersPolicyType};
use serde_json::{Value, json};

use crate::source::aws::call::{Refusal, ask, list, token};
use crate::source::aws::cloudfront::Asked;
use crate::source::aws::document::Document;
use crate::source::aws::listing::{at, in_full, in_order, send_list, sorted};
use crate::source::estate::{Problem, Stopped};

impl Asked<'_> {
    pub(super) async fn capture_shared(&self) -> Result<(), Stopped> {
        self.capture_policies().await?;
        self.capture_access().await?;
        self.capture_keys().await?;
        self.capture_encryption().await?;
        self.capture_deployment().await?;
        self.capture_addresses().await?;
        self.capture_tenants().await?;
        self.capture_functions().await?;
        self.capture_connection_functions().await?;
        self.capture_stores().await
    }

    async fn capture_policies(&self) -> Result<(), Stopped> {
        let next = || token("/CachePolicyList/NextMarker");
        let of = |kind: CachePolicyType| async move {
            list!(&self.calls, "ListCachePolicies", next(), "/CachePolicyList/Items", |marker| {
                self.client.list_cache_policies().r#type(kind.clone()).set_marker(marker)
            })
            .await
        };
        let (custom, managed) = (of(CachePolicyType::Custom).await, of(CachePolicyType::Managed).await);
        self.send_policies("cache-policies.json", "CachePolicy", custom, managed).await?;
        let next = || token("/OriginRequestPolicyList/NextMarker");
        let of = |kind: OriginRequestPolicyType| async move {
            list!(&self.calls, "ListOriginRequestPolicies", next(), "/OriginRequestPolicyList/Items", |marker| {
                self.client.list_origin_request_policies().r#type(kind.clone()).set_marker(marker)
            })
            .await
        };
        let custom = of(OriginRequestPolicyType::Custom).await;
        let managed = of(OriginRequestPolicyType::Managed).await;
        self.send_policies("origin-request-policies.json", "OriginRequestPolicy", custom, managed).await?;
        let next = || token("/ResponseHeadersPolicyList/NextMarker");
        let of = |kind: ResponseHeadersPolicyType| async move {
            list!(&self.calls, "ListResponseHeadersPolicies", next(), "/ResponseHeadersPolicyList/Items", |marker| {
                self.client.list_response_headers_policies().r#type(kind.clone()).set_marker(marker)
            })
            .await
        };
        let custom = of(ResponseHeadersPolicyType::Custom).await;
        let managed = of(ResponseHeadersPolicyType::Managed).await;
        self.send_policies("response-headers-policies.json", "ResponseHeadersPolicy", custom, managed).await
    }

    /// The account's own policies in full; of those that AWS keeps, which there are.
    async fn send_policies(
        &self,
        path: &str,
        kind: &str,
        custom: Result<Vec<Value>, Refusal>,
        managed: Result<Vec<Value>, Refusal>,
    ) -> Result<(), Stopped> {
        let (id, name) = (format!("/{kind}/Id"), format!("/{kind}/{kind}Config/Name"));
        let mut policies = Document::new(self.sink, path);
        policies.part("Custom", custom.map(|items| sorted(items, &id))).await?;
        let named = |policy: &Value| json!({ "Id": at(policy, &id), "Name": at(policy, &name) });
        let managed = managed.map(|items| in_order(items, &id).iter().map(named).collect());
        policies.part("Managed", managed).await?;
        policies.send().await
    }

    /// Every item of a list as its own operation tells it, with its tags where it has an ARN at `arn`.
    async fn send_full<F>(
        &self,
        path: &str,
        items: Result<Vec<Value>, Refusal>,
        by: &str,
        arn: Option<&str>,
        ask: impl Fn(String) -> F,
    ) -> Result<(), Stopped>
    where
        F: Future<Output = Result<Value, Refusal>>,
    {
        let Some(mut items) = in_full(self.sink, path, items, by, ask).await? else { return Ok(()) };
        if let Some(arn) = arn {
            for item in &mut items {
                match self.tags(at(item, arn)).await {
                    Ok(tags) => item["Tags"] = tags,
                    Err(refusal) => self.sink.gap(path, refusal.into_problem()).await?,
                }
            }
        }
        self.sink.document(path, &Value::Array(items)).await
    }

    async fn capture_access(&self) -> Result<(), Stopped> {
        let next = token("/OriginAccessControlList/NextMarker");
        let controls =
            list!(&self.calls, "ListOriginAccessControls", next, "/OriginAccessControlList/Items", |marker| {
                self.client.list_origin_access_controls().set_marker(marker)
            });
        let control = |id: String| async move {
            ask!(self.calls, "GetOriginAccessControl", self.client.get_origin_access_control().id(id)).await
        };
        self.send_full("origin-access-controls.json", controls.await, "/Id", None, control).await?;
        let identities = list!(
            &self.calls,
            "ListCloudFrontOriginAccessIdentities",
            token("/CloudFrontOriginAccessIdentityList/NextMarker"),
            "/CloudFrontOriginAccessIdentityList/Items",
            |marker| self.client.list_cloud_front_origin_access_identities().set_marker(marker)
        );
        let identity = |id: String| async move {
            let request = self.client.get_cloud_front_origin_access_identity().id(id);
            ask!(self.calls, "GetCloudFrontOriginAccessIdentity", request).await
        };
        self.send_full("origin-access-identities.json", identities.await, "/Id", None, identity).await
    }

    async fn capture_keys(&self) -> Result<(), Stopped> {
        let next = token("/KeyGroupList/NextMarker");
        let groups = list!(&self.calls, "ListKeyGroups", next, "/KeyGroupList/Items", |marker| {
            self.client.list_key_groups().set_marker(marker)
        });
        send_list(self.sink, "key-groups.json", groups.await, "/KeyGroup/Id").await?;
        let next = token("/PublicKeyList/NextMarker");
        let keys = list!(&self.calls, "ListPublicKeys", next, "/PublicKeyList/Items", |marker| {
            self.client.list_public_keys().set_marker(marker)
        });
        let key =
            |id: String| async move { ask!(self.calls, "GetPublicKey", self.client.get_public_key().id(id)).await };
        self.send_full("public-keys.json", keys.await, "/Id", None, key).await?;
        let stores = list!(&self.calls, "ListTrustStores", token("/NextMarker"), "/TrustStoreList", |marker| {
            self.client.list_trust_stores().set_marker(marker)
        });
        let store = |id: String| async move {
            ask!(self.calls, "GetTrustStore", self.client.get_trust_store().identifier(id)).await
        };
        self.send_full("trust-stores.json", stores.await, "/Id", Some("/TrustStore/Arn"), store).await
    }

    async fn capture_encryption(&self) -> Result<(), Stopped> {
        let path = "field-level-encryption.json";
        let next = token("/FieldLevelEncryptionList/NextMarker");
        let configs =
            list!(&self.calls, "ListFieldLevelEncryptionConfigs", next, "/FieldLevelEncryptionList/Items", |marker| {
                self.client.list_field_level_encryption_configs().set_marker(marker)
            });
        let config = |id: String| async move {
            ask!(self.calls, "GetFieldLevelEncryption", self.client.get_field_level_encryption().id(id)).await
        };
        let configs = in_full(self.sink, path, configs.await, "/Id", config).await?;
        let profiles = list!(
            &self.calls,
            "ListFieldLevelEncryptionProfiles",
            token("/FieldLevelEncryptionProfileList/NextMarker"),
            "/FieldLevelEncryptionProfileList/Items",
            |marker| self.client.list_field_level_encryption_profiles().set_marker(marker)
        );
        let profile = |id: String| async move {
            let request = self.client.get_field_level_encryption_profile().id(id);
            ask!(self.calls, "GetFieldLevelEncryptionProfile", request).await
        };
        let profiles = in_full(self.sink, path, profiles.await, "/Id", profile).await?;
        let mut encryption = Document::new(self.sink, path);
        for (name, items) in [("Configs", configs), ("Profiles", profiles)] {
            if let Some(items) = items {
                encryption.part(name, Ok(Value::Array(items))).await?;
            }
        }
        encryption.send().await
    }

    async fn capture_deployment(&self) -> Result<(), Stopped> {
        let next = token("/RealtimeLogConfigs/NextMarker");
        let logs = list!(&self.calls, "ListRealtimeLogConfigs", next, "/RealtimeLogConfigs/Items", |marker| {
            self.client.list_realtime_log_configs().set_marker(marker)
        });
        send_list(self.sink, "realtime-log-configs.json", logs.await, "/ARN").await?;
        let policies = list!(
            &self.calls,
            "ListContinuousDeploymentPolicies",
            token("/ContinuousDeploymentPolicyList/NextMarker"),
            "/ContinuousDeploymentPolicyList/Items",
            |marker| self.client.list_continuous_deployment_policies().set_marker(marker)
        );
        let (path, by) = ("continuous-deployment-policies.json", "/ContinuousDeploymentPolicy/Id");
        send_list(self.sink, path, policies.await, by).await?;
        let streaming = list!(
            &self.calls,
            "ListStreamingDistributions",
            token("/StreamingDistributionList/NextMarker"),
            "/StreamingDistributionList/Items",
            |marker| self.client.list_streaming_distributions().set_marker(marker)
        );
        let (path, arn) = ("streaming-distributions.json", "/StreamingDistribution/ARN");
        let one = |id: String| async move {
            ask!(self.calls, "GetStreamingDistribution", self.client.get_streaming_distribution().id(id)).await
        };
        self.send_full(path, streaming.await, "/Id", Some(arn), one).await
    }

    async fn capture_addresses(&self) -> Result<(), Stopped> {
        let next = token("/VpcOriginList/NextMarker");
        let origins = list!(&self.calls, "ListVpcOrigins", next, "/VpcOriginList/Items", |marker| {
            self.client.list_vpc_origins().set_marker(marker)
        });
        let origin =
            |id: String| async move { ask!(self.calls, "GetVpcOrigin", self.client.get_vpc_origin().id(id)).await };
        self.send_full("vpc-origins.json", origins.await, "/Id", Some("/VpcOrigin/Arn"), origin).await?;
        let next = token("/AnycastIpLists/NextMarker");
        let lists = list!(&self.calls, "ListAnycastIpLists", next, "/AnycastIpLists/Items", |marker| {
            self.client.list_anycast_ip_lists().set_marker(marker)
        });
        let one = |id: String| async move {
            ask!(self.calls, "GetAnycastIpList", self.client.get_anycast_ip_list().id(id)).await
        };
        self.send_full("anycast-ip-lists.json", lists.await, "/Id", Some("/AnycastIpList/Arn"), one).await
    }

    /// Their tags stand in the answers.
    async fn capture_tenants(&self) -> Result<(), Stopped> {
        let groups = list!(&self.calls, "ListConnectionGroups", token("/NextMarker"), "/ConnectionGroups", |marker| {
            self.client.list_connection_groups().set_marker(marker)
        });
        let group = |id: String| async move {
            ask!(self.calls, "GetConnectionGroup", self.client.get_connection_group().identifier(id)).await
        };
        self.send_full("connection-groups.json", groups.await, "/Id", None, group).await?;
        let next = token("/NextMarker");
        let tenants = list!(&self.calls, "ListDistributionTenants", next, "/DistributionTenantList", |marker| {
            self.client.list_distribution_tenants().set_marker(marker)
        });
        let tenant = |id: String| async move {
            ask!(self.calls, "GetDistributionTenant", self.client.get_distribution_tenant().identifier(id)).await
        };
        self.send_full("distribution-tenants.json", tenants.await, "/Id", None, tenant).await
    }

    async fn capture_stores(&self) -> Result<(), Stopped> {
        let next = token("/KeyValueStoreList/NextMarker");
        let stores = list!(&self.calls, "ListKeyValueStores", next, "/KeyValueStoreList/Items", |marker| {
            self.client.list_key_value_stores().set_marker(marker)
        });
        let stores = stores.await;
        let names: Vec<String> = stores.iter().flatten().map(|store| at(store, "/Name").to_owned()).collect();
        let store = |name: String| async move {
            ask!(self.calls, "DescribeKeyValueStore", self.client.describe_key_value_store().name(name)).await
        };
        let arn = Some("/KeyValueStore/ARN");
        self.send_full("key-value-stores.json", stores, "/Name", arn, store).await?;
        for name in names {
            // Their items are at another service, which takes only signatures for many regions.
            let problem = Problem {
                action: "cloudfront-keyvaluestore:ListKeys".to_owned(),
                code: "Unsupported".to_owned(),
                reason: "their service takes signatures for many regions only, which this version cannot make"
                    .to_owned(),
                hint: String::new(),
            };
            self.sink.gap(&format!("key-value-stores/{name}.json"), problem).await?;
        }
        Ok(())
    }
}
