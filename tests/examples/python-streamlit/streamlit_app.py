import pandas as pd
import streamlit as st

st.title("Sales")
st.dataframe(pd.DataFrame({"a": [1]}))
