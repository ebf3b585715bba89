"""The vendors' own clients on behalf of a test: one command, JSON on standard input, JSON on standard output."""

import json
import os
import sys


def s3(order):
    """Calls of boto3's S3 client, in order; what each came to."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError
    client = boto3.client(
        "s3", endpoint_url=order["endpoint"], verify=order["ca_file"], region_name=order["region"],
        aws_access_key_id=order["access_key"], aws_secret_access_key=order["secret_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                      request_checksum_calculation="when_required", response_checksum_validation="when_required"))
    outcomes, etag = [], None
    for call in order["calls"]:
        arguments = {name: etag if value == "<last>" else value for name, value in call["arguments"].items()}
        try:
            response = getattr(client, call["operation"])(**arguments)
        except ClientError as error:
            outcomes.append({"status": error.response["ResponseMetadata"]["HTTPStatusCode"],
                             "code": error.response["Error"]["Code"]})
            continue
        etag = response.get("ETag", etag)
        outcome = {"status": response["ResponseMetadata"]["HTTPStatusCode"]}
        if "Body" in response:
            outcome["body"] = response["Body"].read().decode()
        if "Contents" in response:
            outcome["names"] = [content["Key"] for content in response["Contents"]]
        outcomes.append(outcome)
    return outcomes


def storage(order):
    """Google's client of Cloud Storage, with an access token that somebody brought."""
    from google.cloud import storage
    from google.oauth2.credentials import Credentials
    os.environ["REQUESTS_CA_BUNDLE"] = order["ca_file"]
    return storage.Client(
        project=order["project"], credentials=Credentials(order["token"]),
        client_options={"api_endpoint": order["endpoint"]})


def gcs(order):
    """Objects: each call is {does, name, ...}; `generation` is a number or "<last>"."""
    from google.api_core.exceptions import GoogleAPICallError
    bucket = storage(order).bucket(order["bucket"])
    outcomes, generation = [], None
    for call in order["calls"]:
        wanted = generation if call.get("generation") == "<last>" else call.get("generation")
        blob = bucket.blob(call.get("name", ""))
        outcome = {"status": 200}
        try:
            if call["does"] == "upload":
                blob.cache_control, blob.metadata = call["cache_control"], call["metadata"]
                blob.upload_from_string(
                    call["body"], content_type=call["content_type"], if_generation_match=wanted, retry=None)
                generation = blob.generation
            elif call["does"] == "attributes":
                blob.reload(retry=None)
            elif call["does"] == "download":
                blob = bucket.blob(call["name"], generation=wanted)
                outcome["body"] = blob.download_as_bytes(raw_download=True, retry=None).decode()
            elif call["does"] == "list":
                outcome["names"] = [blob.name for blob in bucket.list_blobs(
                    prefix=call["prefix"], fields="items(name),nextPageToken", retry=None)]
            else:
                blob.delete(if_generation_match=wanted, retry=None)
        except GoogleAPICallError as error:
            outcome = {"status": error.code}
        outcomes.append(outcome)
    return outcomes


def gcs_bucket(order):
    """A bucket whose objects the public may read and one principal may write."""
    client = storage(order)
    bucket = client.bucket(order["bucket"])
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "inherited"
    for name, value in order["properties"].items():
        setattr(bucket, name, value)
    client.create_bucket(bucket, location=order.get("location"), retry=None)
    policy = bucket.get_iam_policy(requested_policy_version=3, retry=None)
    for binding in order["bindings"]:
        policy.bindings.append({"role": binding["role"], "members": set(binding["members"])})
    bucket.set_iam_policy(policy, retry=None)
    return {}


def google_federation(order):
    """The access token that Google's own library gets for a credentials file."""
    from google.auth.identity_pool import Credentials
    from google.auth.transport.requests import Request
    credentials = Credentials.from_file(order["file"], scopes=order["scopes"])
    credentials.refresh(Request())
    return {"token": credentials.token}


def azure(order):
    """Calls of Azure's Blob client, in order; what each came to."""
    from azure.core import MatchConditions
    from azure.core.credentials import AccessToken
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobServiceClient, ContentSettings

    class Given:
        def get_token(self, *_, **__):
            return AccessToken(order["token"], 4102444800)

    service = BlobServiceClient(
        order["endpoint"], credential=Given(), connection_verify=order["ca_file"], retry_total=0)
    container = service.get_container_client(order["container"])
    outcomes, etag = [], None
    for call in order["calls"]:
        condition = {}
        if call.get("if") == "absent":
            condition = {"match_condition": MatchConditions.IfMissing}
        elif call.get("if") == "<last>":
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        outcome = {"status": 200}
        try:
            if call["does"] == "list":
                pages = container.list_blobs(name_starts_with=call["prefix"], results_per_page=1000)
                outcome["names"] = [blob.name for blob in pages]
            else:
                blob = container.get_blob_client(call["name"])
                if call["does"] == "upload":
                    settings = ContentSettings(
                        content_type=call["content_type"], cache_control=call["cache_control"])
                    etag = blob.upload_blob(
                        call["body"].encode(), overwrite=call.get("if") != "absent", metadata=call["metadata"],
                        content_settings=settings, **condition)["etag"]
                elif call["does"] == "download":
                    outcome["body"] = blob.download_blob(
                        offset=0, length=order["window"], max_concurrency=1).readall().decode()
                else:
                    blob.delete_blob(**condition)
        except HttpResponseError as error:
            outcome = {"status": error.status_code, "code": str(getattr(error, "error_code", ""))}
        outcomes.append(outcome)
    return outcomes


def azure_container(order):
    """A container whose blobs the public may read and one principal may write, through Resource Manager."""
    from azure.core.credentials import AccessToken
    from azure.mgmt.authorization import AuthorizationManagementClient
    from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
    from azure.mgmt.storage import StorageManagementClient
    from azure.mgmt.storage.models import BlobContainer

    class Given:
        def get_token(self, *_, **__):
            return AccessToken(order["token"], 4102444800)

    of = order["resource_group"], order["account"]
    common = {"base_url": order["endpoint"], "connection_verify": order["ca_file"], "retry_total": 0}
    storage = StorageManagementClient(
        Given(), order["subscription"], api_version=order["storage_api"], credential_scopes=["scope"], **common)
    service = storage.blob_services.get_service_properties(*of)
    service.is_versioning_enabled = True
    storage.blob_services.set_service_properties(*of, service)
    storage.blob_containers.create(*of, order["container"], BlobContainer(public_access="Blob"))
    roles = AuthorizationManagementClient(
        Given(), order["subscription"], api_version="2022-04-01", credential_scopes=["scope"], **common)
    roles.role_assignments.create(order["scope"], order["name"], RoleAssignmentCreateParameters(
        role_definition_id=order["role"], principal_id=order["writer"], principal_type="ServicePrincipal"))
    return {}


def azure_workload_identity(order):
    """The access token that Azure's own library gets for a pod's token."""
    from azure.identity import WorkloadIdentityCredential
    credential = WorkloadIdentityCredential(
        tenant_id=order["tenant"], client_id=order["client"], token_file_path=order["file"],
        authority=order["authority"], connection_verify=order["ca_file"], disable_instance_discovery=True)
    return {"token": credential.get_token(order["scope"]).token}


def azure_managed_identity(order):
    """The access token of the machine; AZURE_POD_IDENTITY_AUTHORITY_HOST says where its metadata service is."""
    from azure.identity import ManagedIdentityCredential
    more = {"client_id": order["client"]} if order["client"] else {}
    return {"token": ManagedIdentityCredential(**more).get_token(order["scope"]).token}


COMMANDS = {function.__name__: function for function in (
    s3, gcs, gcs_bucket, google_federation, azure, azure_container, azure_workload_identity, azure_managed_identity)}

if __name__ == "__main__":
    json.dump(COMMANDS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
