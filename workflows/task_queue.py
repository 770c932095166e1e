"""The one task queue that workers poll and every way in starts workflows on."""

TASK_QUEUE = "kaiji"
