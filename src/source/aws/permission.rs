//! What a policy must allow for a call: mostly the name of the call, but services have their exceptions.

/// Calls whose permission is called otherwise.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("s3:GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
    ("s3:GetBucketCors", "s3:GetBucketCORS"),
    ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("s3:GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("s3:GetBucketMetadataConfiguration", "s3:GetBucketMetadataTableConfiguration"),
    ("s3:GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
    ("s3:GetBucketReplication", "s3:GetReplicationConfiguration"),
    ("s3:GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("s3:HeadBucket", "s3:ListBucket"),
    ("s3:HeadObject", "s3:GetObject"),
    ("s3:ListBucketAnalyticsConfigurations", "s3:GetAnalyticsConfiguration"),
    ("s3:ListBucketIntelligentTieringConfigurations", "s3:GetIntelligentTieringConfiguration"),
    ("s3:ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"),
    ("s3:ListBucketMetricsConfigurations", "s3:GetMetricsConfiguration"),
    ("s3:ListBuckets", "s3:ListAllMyBuckets"),
    ("s3:ListObjectVersions", "s3:ListBucketVersions"),
    ("s3:ListObjectsV2", "s3:ListBucket"),
    ("s3control:GetAccessPoint", "s3:GetAccessPoint"),
    ("s3control:GetAccessPointPolicy", "s3:GetAccessPointPolicy"),
    ("s3control:GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
    ("s3control:ListAccessPoints", "s3:ListAccessPoints"),
    ("tagging:GetResources", "tag:GetResources"),
];

/// The action of a policy that allows this call (`s3:ListObjectsV2` is `s3:ListBucket`).
pub(super) fn permission_of(call: &str) -> &str {
    // Whatever is read, it is one action on many paths.
    if call.starts_with("apigateway:") {
        return "apigateway:GET";
    }
    EXCEPTIONS.iter().find(|(of, _)| *of == call).map_or(call, |(_, permission)| permission)
}
