"""Stacks: stateful resources are retained, and releases that add or remove routes can be deployed."""

import re

import pytest
from aws_cdk import App

from functions.routes import ROUTES
from infra.app import build
from testbed.stacks import PROD, synthesise

RETAINED = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::Events::Archive",
    "AWS::Events::EventBus",
    "AWS::SQS::Queue",
}

# A new logical id would orphan a stateful resource. See docs/operations.md, "Upgrade and roll back".
FROZEN = {
    "BusArchiveD76499E2",
    "BusEA82B648",
    "EnrollmentCreatedDeadLetters8FD4A3AA",
    "EnrollmentCreatedQueue12CBB200",
    "EnrollmentStateCreatedDeadLetters63241D71",
    "EnrollmentStateCreatedQueue3983BD9F",
    "EnrollmentStateUpdatedDeadLetters4A933D49",
    "EnrollmentStateUpdatedQueue2FAAE572",
    "EnrollmentUpdatedDeadLettersD4BFD5CC",
    "EnrollmentUpdatedQueueD62E914F",
    "Enrollments4D8328BC",
    "IngestionDeadLetters84B2DF1E",
    "IngestionQueue8DED9A6F",
    "SisBatchCreatedDeadLettersB329F3DD",
    "SisBatchCreatedQueue71E17B47",
    "SisBatchUpdatedDeadLettersD329686E",
    "SisBatchUpdatedQueue90301500",
    "SisBatchesF3162930",
}


def resources(synthesised):
    return synthesised.data["Resources"] | synthesised.pipeline["Resources"]


def test_stateful_resources_keep_their_logical_ids(prod):
    assert {name for name, resource in resources(prod).items() if resource["Type"] in RETAINED} == FROZEN


@pytest.mark.parametrize("keeps", [False, True])
def test_stateful_resources_are_retained_where_the_stage_keeps_its_data(keeps):
    for resource in resources(synthesise(PROD.model_copy(update={"keeps_data": keeps}))).values():
        if resource["Type"] in RETAINED:
            policies = (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
            # "except on create": a failed first deployment leaves no resource whose name blocks the next.
            assert policies == (("RetainExceptOnCreate", "Retain") if keeps else ("Delete", "Delete"))


@pytest.mark.parametrize("keeps", [False, True])
def test_both_stacks_are_protected_from_termination_where_the_stage_keeps_its_data(keeps):
    app = App(context={"aws:cdk:bundling-stacks": []})
    for stack in build(app, PROD.model_copy(update={"keeps_data": keeps})):
        assert stack.termination_protection is keeps


def exports(template):
    return {output["Export"]["Name"] for output in template.get("Outputs", {}).values() if "Export" in output}


def imports(template):
    return set(re.findall(r"'Fn::ImportValue': '([^']+)'", str(template["Resources"])))


def test_the_tables_are_all_that_one_stack_imports_from_the_other(prod):
    assert exports(prod.pipeline) == imports(prod.data) == set()
    assert exports(prod.data) == imports(prod.pipeline)
    assert len(exports(prod.data)) == 4  # name and ARN of both tables
    for name in exports(prod.data):
        assert re.search(r":ExportsOutput(Ref|FnGetAtt)(Enrollments|SisBatches)", name)


@pytest.mark.parametrize(
    "routes",
    [ROUTES[1:], *([route for route in ROUTES if route.table == table] for table in ("enrollments", "sis_batches"))],
    ids=["one route", "every route of sis_batches", "every route of enrollments"],
)
def test_routes_can_be_removed_and_added_again(prod, routes):
    # GIVEN a release with all routes, and one with fewer
    fewer = synthesise(PROD, routes=routes)

    # THEN a deployment of either, stack by stack, removes no export that is still imported
    for before, after in ((prod, fewer), (fewer, prod)):
        assert exports(before.data) - exports(after.data) == set()
        assert exports(before.pipeline) - exports(after.pipeline) == set()
        # The data stack is deployed first, with the exports that the new pipeline imports.
        assert imports(after.pipeline) <= exports(after.data)

    # AND only the resources of the removed routes are deleted
    removed = prod.pipeline["Resources"].keys() - fewer.pipeline["Resources"].keys()
    gone = ["".join(map(str.capitalize, r.event_name.split("_"))) for r in ROUTES if r not in routes]
    assert removed
    assert all(name.startswith(tuple(gone)) for name in removed)
