"""What the scenarios compare: whole answers, moments apart."""

import time

STARTED = int(time.time())
MOMENTS = ("CreateTime", "LastInfoTime", "JoinTime")


def settled(value):
    """The answer with every moment replaced by "then", if it lies within this run."""
    if isinstance(value, list):
        return [settled(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if key in MOMENTS:
            assert STARTED <= item <= time.time(), f"{key}: {item}"
            item = "then"
        result[key] = settled(item)
    return result


def same(answer, expected):
    answer = settled(answer)
    assert answer == expected, f"\nanswered {answer}\nexpected {expected}"


def ok(**fields):
    return {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, **fields}


def is_gone(answer, group):
    gone = {"GroupId": group, "ErrorCode": 10010, "ErrorInfo": "this group does not exist"}
    same(answer, ok(GroupInfo=[gone]))


def is_refused(answer, code):
    assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", code), answer


def checked(*statuses):
    """The answer to a check of accounts that finds these."""
    items = [
        {"UserID": account, "ResultCode": 0, "ResultInfo": "", "AccountStatus": "Imported" if known else "NotImported"}
        for account, known in statuses
    ]
    return ok(ResultItem=items)


def deleted(answer, *codes):
    """An answer that deleted accounts, each with that code."""
    assert [(item["UserID"], item["ResultCode"]) for item in answer["ResultItem"]] == list(codes), answer


def ends_in(until, seconds):
    """Whether a moment is so many seconds from now, give or take what this run took."""
    return STARTED + seconds <= until <= time.time() + seconds
