"""Sending: `deliver` claims and sends, `held` is what one sender holds, `pace` is how fast,
`feedback` is what gateways and receivers say of it.
"""
