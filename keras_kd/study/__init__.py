"""A study: many runs over the axes of a design, each kept, and a verdict per claim.

`design` says what a run is, `runner` trains what is missing, `findings` judges.
"""

from keras_kd.study.design import AXES, Run, Teacher
from keras_kd.study.run_result import RunResult
from keras_kd.study.runner import RunRecord, Study

__all__ = ["AXES", "Run", "RunRecord", "RunResult", "Study", "Teacher"]
