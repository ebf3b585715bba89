"""Oracle's own SDK on behalf of a test: one command, JSON on standard input, JSON on standard output."""

import ast
import inspect
import json
import os
import sys
import textwrap

import oci
from cryptography.hazmat.primitives import serialization
from oci._vendor import requests


def signer(key):
    """An API key {tenancy, user, fingerprint, pem, passphrase}, or a session {token, pem, passphrase}."""
    if "token" in key:
        private = oci.signer.load_private_key(key["pem"], key.get("passphrase"))
        return oci.auth.signers.SecurityTokenSigner(key["token"], private)
    return oci.signer.Signer(
        key["tenancy"], key["user"], key["fingerprint"], None,
        pass_phrase=key.get("passphrase"), private_key_content=key["pem"])


def sign(order):
    """The headers that the SDK puts on a request."""
    request = requests.Request(
        order["method"], order["url"], headers=order["headers"], data=order["body"].encode()).prepare()
    signed = signer(order["key"])(request, enforce_content_headers=order["signs_body"])
    return {name.lower(): text.decode() if isinstance(text, bytes) else text for name, text in signed.headers.items()}


def keys(order):
    """The same key in the forms in which people have it: plain and encrypted, PKCS#1 and PKCS#8."""
    private = oci.signer.load_private_key(order["pem"], None)
    form = serialization.PrivateFormat
    encrypted = serialization.BestAvailableEncryption(order["passphrase"].encode())
    plain = serialization.NoEncryption()
    forms = {"pkcs1": (form.TraditionalOpenSSL, plain), "pkcs1 encrypted": (form.TraditionalOpenSSL, encrypted),
             "pkcs8": (form.PKCS8, plain), "pkcs8 encrypted": (form.PKCS8, encrypted)}
    return {name: private.private_bytes(serialization.Encoding.PEM, *how).decode() for name, how in forms.items()}


def regions(_):
    """Object Storage's address in every region that the SDK knows."""
    template = "https://objectstorage.{region}.{secondLevelDomain}"
    endpoint = oci.regions.endpoint_for
    return {region: endpoint("object_storage", region, service_endpoint_template=template,
                             endpoint_service_name="objectstorage")
            for region in oci.regions.REGIONS}


def operation(name):
    """Method, path, header and query names of an operation, out of the code that was generated from its definition."""
    source = textwrap.dedent(inspect.getsource(getattr(oci.object_storage.ObjectStorageClient, name)))
    found = {"headers": [], "query": []}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        target, value = node.targets[0].id, node.value
        if target in ("method", "resource_path"):
            found["path" if target == "resource_path" else target] = ast.literal_eval(value)
        elif target in ("header_params", "query_params") and isinstance(value, ast.Dict):
            found["headers" if target == "header_params" else "query"] = [key.value for key in value.keys]
    found["metadata"] = "opc-meta-" in source
    return found


def model(name):
    made = getattr(oci.object_storage.models, name)()
    required = []
    for attribute, wire in made.attribute_map.items():
        if "**[Required]**" in (inspect.getdoc(getattr(type(made), attribute)) or ""):
            required.append(wire)
    types = {made.attribute_map[attribute]: kind for attribute, kind in made.swagger_types.items()}
    # What a field may be is among the class's constants, under the field's name.
    values = {}
    for attribute, wire in made.attribute_map.items():
        known = [value for constant, value in vars(type(made)).items()
                 if constant.startswith(attribute.upper() + "_") and isinstance(value, str) and not value.startswith("UNKNOWN")]
        if known:
            values[wire] = known
    return {"types": types, "required": required, "values": values}


def contract(_):
    names = ["put_object", "get_object", "head_object", "delete_object", "list_objects",
             "create_bucket", "get_bucket", "update_bucket", "list_preauthenticated_requests"]
    models = ["ListObjects", "ObjectSummary", "Bucket", "CreateBucketDetails", "UpdateBucketDetails",
              "PreauthenticatedRequestSummary"]
    return {"operations": {name: operation(name) for name in names},
            "models": {name: model(name) for name in models}}


def calls(order):
    """Calls of the Object Storage client, in order; what each came to."""
    os.environ["REQUESTS_CA_BUNDLE"] = order["ca_file"]
    config, more = {"region": "eu-frankfurt-1"}, {}
    if "key" in order:
        config.update({name: order["key"][name] for name in ("tenancy", "user", "fingerprint")})
        config["key_content"] = order["key"]["pem"]
    else:
        more["signer"] = instance(order)
    client = oci.object_storage.ObjectStorageClient(
        config, service_endpoint=order["endpoint"], retry_strategy=oci.retry.NoneRetryStrategy(),
        enable_strict_url_encoding=order["strict"], **more)
    outcomes, etag = [], None
    for call in order["calls"]:
        arguments = dict(call.get("arguments", {}))
        if arguments.get("if_match") == "<last>":
            arguments["if_match"] = etag
        place = [order["namespace"], order["bucket"]] + call.get("place", [])
        if call["operation"] == "create_bucket":
            place.pop()
        if "model" in call:
            place.append(getattr(oci.object_storage.models, call["model"])(**call["fields"]))
        if "body" in call:
            place.append(call["body"].encode())
        try:
            response = getattr(client, call["operation"])(*place, **arguments)
        except oci.exceptions.ServiceError as error:
            outcomes.append({"status": error.status, "code": error.code})
            continue
        etag = response.headers.get("etag", etag)
        outcome = {"status": response.status, "headers": dict(response.headers)}
        if call["operation"] == "get_object":
            outcome["body"] = response.data.content.decode()
        if call["operation"] == "list_objects":
            outcome["names"] = [summary.name for summary in response.data.objects]
        outcomes.append(outcome)
    return outcomes


def instance(order):
    """The signer of a compute instance; the environment says where its metadata is."""
    return oci.auth.signers.InstancePrincipalsSecurityTokenSigner(
        federation_endpoint=order["federation"], federation_client_cert_bundle_verify=order["ca_file"],
        federation_client_retry_strategy=oci.retry.NoneRetryStrategy(),
        retry_strategy=oci.retry.NoneRetryStrategy())


COMMANDS = {"sign": sign, "keys": keys, "regions": regions, "contract": contract, "calls": calls}

if __name__ == "__main__":
    json.dump(COMMANDS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
